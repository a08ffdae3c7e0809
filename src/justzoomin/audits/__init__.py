"""What must be known of a dataset before its figures are trusted, and before it is given away."""

from justzoomin.audits.audit import AuditReport, SharedCells, SharedSequences, audit, drives_of
from justzoomin.audits.galleries import Gallery
from justzoomin.audits.publish import publish_check
from justzoomin.audits.rights import PublishItem

__all__ = ["AuditReport", "Gallery", "PublishItem", "SharedCells", "SharedSequences", "audit", "drives_of", "publish_check"]
