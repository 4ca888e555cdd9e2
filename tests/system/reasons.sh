# reasons.sh - each reason is provoked and seen as log record, status and metric; see reasons.py.
exec python3 -B "$(dirname "$0")/reasons.py"
