"""How pyinfra itself behaves in this project."""

from gevent.hub import Hub
from pyinfra import config
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.run import output, replaced
from kubeinfra.run.user_files import without_traceback

config.REQUIRE_PYINFRA_VERSION = "~=3.10"
config.FAIL_PERCENT = 0  # the first host that fails stops the run: what follows may depend on it

# A message for the user, which pyinfra shows at the end; without this, gevent prints a traceback before it.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, PyinfraError)
without_traceback()
output.install()
replaced.install()
