"""How much longer than on an idle machine a test waits, as other tests run beside it.

Only for what has to happen at some time: what has to happen soon is measured in `bench/`.
"""

PATIENCE = 4.0
