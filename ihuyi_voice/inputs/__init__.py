"""What a caller gives, checked before it costs a call."""

from ihuyi_voice.inputs.columns import named_values
from ihuyi_voice.inputs.content import validate_content, validate_template_id
from ihuyi_voice.inputs.earlier import beside, earlier
from ihuyi_voice.inputs.kinds import (
    check_acts,
    check_called,
    check_identifier,
    check_is,
    check_text,
)
from ihuyi_voice.inputs.numbers import normalise_mobile
from ihuyi_voice.inputs.options import (
    above_zero,
    check_above_zero,
    check_count,
    check_not_negative,
    check_number,
    check_rate,
    check_wait,
    counted,
    lasting,
    not_negative,
    rated,
    waited,
)
from ihuyi_voice.inputs.recipients import BadRow, Recipient, RecipientsFile
from ihuyi_voice.inputs.tables import TableFile, readable_twice
from ihuyi_voice.inputs.templates import Template

__all__ = [
    "BadRow",
    "Recipient",
    "RecipientsFile",
    "TableFile",
    "Template",
    "above_zero",
    "beside",
    "check_above_zero",
    "check_acts",
    "check_called",
    "check_count",
    "check_identifier",
    "check_is",
    "check_not_negative",
    "check_number",
    "check_rate",
    "check_text",
    "check_wait",
    "counted",
    "earlier",
    "lasting",
    "named_values",
    "normalise_mobile",
    "not_negative",
    "rated",
    "readable_twice",
    "validate_content",
    "validate_template_id",
    "waited",
]
