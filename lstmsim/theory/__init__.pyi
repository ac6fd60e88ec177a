from . import lti as lti
from .certificates.certificate import stability as stability
from .certificates.report import StabilityReport as StabilityReport
from .lti.approximate import approximate as approximate
from .lti.extract import extract as extract
from .lti.linearity import linearity as linearity
