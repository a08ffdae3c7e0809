from .contents import PACK_FILE as PACK_FILE
from .contents import Rights as Rights
from .making import PackPlan as PackPlan
from .making import make_pack as make_pack
from .making import plan_pack as plan_pack
from .pack import Pack as Pack
from .pack import open_pack as open_pack
