"""The command line: python -m pspkit.adversarial --out DIR [--images N] [--resume]."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from pspkit.adversarial import AdversarialConfig, read_config, train_decoder
from pspkit.errors import PspkitError, check_choice
from pspkit.heads import LOOKS, HeadsDataset
from pspkit.heads.dataset import EXTRAS


def main() -> None:
    """Trains the decoder of the rendered heads."""
    default = AdversarialConfig()
    parser = argparse.ArgumentParser(prog="python -m pspkit.adversarial", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--resume", action="store_true", help="go on with the training in the folder")
    parser.add_argument("--look", metavar="LOOK", help="which of the heads' pictures: plain (default) or toon")
    parser.add_argument("--start", metavar="DIR", help="folder of a training whose networks to start from")
    for name in ("images", "supervised", "supervision", "heads", "batch", "lr", "generator_rate", "gamma", "seed"):
        option, value = f"--{name.replace('_', '-')}", getattr(default, name)
        parser.add_argument(option, type=type(value), metavar="N", help=f"default: {value}")
    arguments = vars(parser.parse_args())
    out, resume = arguments.pop("out"), arguments.pop("resume")
    config = replace(
        read_config(out) if resume else default,
        **{name: value for name, value in arguments.items() if value is not None},
    )
    check_choice("look", config.look, LOOKS)
    extras = {config.look} & EXTRAS
    heads = HeadsDataset("train", config.heads, config.decoder.size, views=config.views, extras=tuple(extras))
    for report in train_decoder(config, heads, out, resume):
        print(json.dumps(asdict(report)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
