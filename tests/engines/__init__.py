import pytest

pytest.register_assert_rewrite(
    *(f"tests.engines.{name}" for name in ("arranging", "conformance", "deployment", "failing", "volumes"))
)
