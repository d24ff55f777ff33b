"""All measurements, one after another: `python -m benchmarks`."""

from benchmarks import decode, encode, explore, heads, laptop, mobile, train
from pspkit.errors import PspkitError

decode.main()
encode.main()
heads.main()
train.main()
laptop.main()
for name, main in {"Photographic decoder": mobile.main, "Explorers": explore.main}.items():
    try:
        main()
    except PspkitError as error:  # weights that are fetched, so a machine without a network may lack them
        print(f"\n{name}: left out. {error}")
