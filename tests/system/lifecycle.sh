# lifecycle.sh - a policy's life: candidate, shadow, commit, rollback, with a running edge; see lifecycle.py.
exec python3 -B "$(dirname "$0")/lifecycle.py" "$LAB_NET"
