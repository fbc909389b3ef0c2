"""Scrape a proxy whose series come and go for a long time: `python -m tools.soak [SCRAPES]`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.support.soak import soak


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tools.soak', description=__doc__)
    parser.add_argument('scrapes', nargs='?', type=int, default=2_000)
    started = time.monotonic()
    result = soak(parser.parse_args().scrapes)
    print(f'{result.scrapes:,} scrapes in {time.monotonic() - started:.0f} s, {result.failed} of them failed')
    print(f'{result.series:,} series came and went, Datadog shows {result.events:,.0f} events')
    for label, figures in (('after a quarter', result.settled), ('at the end', result.end)):
        print(
            f'{label:<16} {figures.megabytes:6.1f} MB {figures.objects:8,} objects '
            f'{figures.descriptors:3} descriptors {figures.threads:3} threads'
        )
    for name, (shown, took_place) in sorted(result.wrong.items())[:10]:
        print(f'wrong: {name}: {shown:g} instead of {took_place:g}')
    print(f'{len(result.wrong)} counts are wrong')
    print('flat and exact' if result.is_flat and not result.wrong else 'NOT flat and exact')
    sys.exit(not result.is_flat or bool(result.wrong))


if __name__ == '__main__':
    main()
