"""What a run has come to: counted, blamed on a cause, and shown under a bar as it comes."""

from ihuyi_voice.cli.tally import Report
from ihuyi_voice.models import OutcomeStatus
from tests.support.command import MOBILE


def test_a_report_of_no_time_has_no_rate() -> None:
    """Rather than a division by it."""
    assert Report().rate == 0.0


def test_a_report_masks_numbers_whatever_text_they_come_in() -> None:
    """It is for the screen, and screens are copied into tickets."""
    report = Report()
    report.note(2, OutcomeStatus.REJECTED, f"{MOBILE} can't be called")
    assert report.rows == [(2, "REJECTED", "139****0000 can't be called")]
