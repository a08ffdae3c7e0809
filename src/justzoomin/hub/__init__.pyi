from .fetching import download as download
from .plan import DownloadPlan as DownloadPlan
from .plan import PlannedFile as PlannedFile
from .plan import plan_download as plan_download
from .retry import Retry as Retry
from .selection import Selection as Selection
from .unpacking import ExtractReport as ExtractReport
from .unpacking import extract as extract
