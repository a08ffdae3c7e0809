from .photo_queue import Observer as Observer
from .photo_queue import PhotoQueue as PhotoQueue
from .photo_queue import QueueFullError as QueueFullError
from .photo_queue import believe as believe
from .photo_queue import locate as locate
from .variants import Asked as Asked
from .variants import Variants as Variants
