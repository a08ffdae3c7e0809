"""Say where a street photo was taken, from the photo and an overhead map alone.

>>> from justzoomin import Localizer                                      # doctest: +SKIP
>>> fix = Localizer.load("model", "map").localize("photo.jpg")            # doctest: +SKIP
>>> fix.lat, fix.lon, fix.credible_radius_m                               # doctest: +SKIP

A name's room is imported when the name is first asked for: the help of the command line must not wait for torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
