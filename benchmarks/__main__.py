"""All measurements, one after another: `python -m benchmarks`."""

from benchmarks import decode, encode, explore, heads, mobile, train
from pspkit.errors import PspkitError

decode.main()
encode.main()
heads.main()
train.main()
try:
    mobile.main()
except PspkitError as error:  # its weights are fetched, so a machine without a network may lack them
    print(f"\nPhotographic decoder: left out. {error}")
