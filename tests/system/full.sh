# full.sh - a disk that is full: logs, keys, the policy store, the charts of the admin page; see full.py.
# What is mounted here is gone with it, however it ends.
exec unshare -m python3 -B "$(dirname "$0")/full.py"
