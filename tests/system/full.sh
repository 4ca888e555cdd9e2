# full.sh - a disk that is full: logs, keys, the policy store, the charts of the admin page; see full.py.
# What is mounted here is gone with it, however it ends; in a chroot that can have no
# view of the mounts of its own, it is taken away by the test itself.
view=
if unshare -m true 2>/dev/null; then
	view="unshare -m"
fi
# shellcheck disable=SC2086 # two words
exec $view python3 -B "$(dirname "$0")/full.py"
