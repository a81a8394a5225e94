"""A deliverer that is killed: ``python dying.py FOLDER DATABASE_URL NOW``. Channels are in the environment."""

import sys
from datetime import datetime
from pathlib import Path

from leadgate.app.alerting import deliver_alerts
from leadgate.app.settings import Settings
from leadgate.app.wire import Home

if __name__ == "__main__":
    folder, url, now = sys.argv[1:]
    moment = datetime.fromisoformat(now)
    home = Home(Path(folder), Settings(database_url=url, author="Ada")).on(lambda: moment)
    print("delivering", flush=True)  # noqa: T201
    deliver_alerts(home)
