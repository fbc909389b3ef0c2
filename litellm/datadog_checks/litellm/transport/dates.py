"""Read from an answer when it was made.

What a proxy says of times is on its own clock, so ages are computed from the date of the same answer. A cache in
between says in `Age` how long it has kept an answer, whose date is then that of the proxy when it made it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from requests import Response

__all__ = ['answered_at']

# No cache has kept an answer for longer than so many digits of seconds say, which is three years.
LONGEST_AGE = 8

# The first date in a header that may have several of them, in any of the three forms that HTTP knows.
_DATE = re.compile(r'\w+,[^,]+|[^,]+')


def answered_at(response: Response) -> float:
    """Return when the proxy answered, by its clock or else by ours, in seconds since the epoch."""
    found = _DATE.match(response.headers.get('Date', ''))
    try:
        date = parsedate_to_datetime(found[0] if found else '')
    except (OverflowError, TypeError, ValueError):
        return time.time()
    age = response.headers.get('Age', '')
    is_age = age.isdecimal() and len(age) <= LONGEST_AGE
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() + (int(age) if is_age else 0)
