"""What a user may do, by PowerFlex' roles. Everybody may read; Monitor may do nothing else."""

from __future__ import annotations

from artesian.embedded.gateway.failures import NO_PERMISSION_CODE, ApiError
from artesian.embedded.gateway.urls import Form, Target
from artesian.embedded.state.model import User

ROLES = ("Monitor", "Configure", "Administrator", "FrontendConfig", "BackendConfig", "Security")

_FRONTEND = frozenset({"Volume", "VTree", "Sdc"})
_BACKEND = frozenset({"ProtectionDomain", "FaultSet", "StoragePool", "Sds", "Device", "System"})
_ALLOWED = {
    "FrontendConfig": _FRONTEND,
    "BackendConfig": _BACKEND,
    "Security": frozenset({"User"}),
}
_CHANGES = (Form.TYPE, Form.TYPE_ACTION, Form.OBJECT_ACTION)


def require(user: User, method: str, target: Target) -> None:
    """Raises ApiError 403 if the user's role does not allow this request."""
    if method != "POST" or target.form not in _CHANGES or target.name.startswith("query"):
        return
    if user.role == "Administrator" or target.type_name in _ALLOWED.get(user.role, ()):
        return
    if user.role == "Configure" and target.type_name != "User":
        return
    if target.name == "setPassword" and target.object_id == user.id:  # everybody's own
        return
    raise ApiError(
        403,
        f"The user's role ({user.role}) does not permit this operation",
        NO_PERMISSION_CODE,
    )
