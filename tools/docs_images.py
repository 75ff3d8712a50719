"""Make the image of the README: train the quickstart, unless a run of it is given, and put two of its test
images into docs/quickstart.jpg.

python tools/docs_images.py
python tools/docs_images.py --run output/quickstart
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from lazycfg import model_zoo

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 1400


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="the folder of a run of quickstart/mask_rcnn_shapes")
    run = parser.parse_args().run
    if run is None:
        from lazycfg.engine import train

        cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes")
        train(cfg)
        run = Path(cfg.train.output_dir)
    files = sorted((run / "pictures").rglob("*.jpg"))[:2]
    if len(files) < 2:
        raise SystemExit(f"{run / 'pictures'} holds {len(files)} images, and 2 are wanted")
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    size = min(image.shape[0] for image in images), min(image.shape[1] for image in images)
    grid = Image.fromarray(np.hstack([image[: size[0], : size[1]] for image in images]))
    height = round(grid.height * WIDTH / grid.width)
    grid.resize((WIDTH, height), Image.Resampling.LANCZOS).save(DOCS / "quickstart.jpg", quality=85)
    print(f"wrote {DOCS / 'quickstart.jpg'}")


if __name__ == "__main__":
    main()
