# adminpage.sh - the admin page in a real Chromium beside a real edge; see adminpage.py.
# Debian's Python has Debian's Selenium.
exec /usr/bin/python3 -B "$(dirname "$0")/adminpage.py"
