# system.sh - what every system test begins with:
#
#	. "$(dirname "$0")/system.sh"
#
# Then: start what is needed (tests/lab/lab.sh, tests/lab/world.sh), look with
# ok and refused, and end with finish. Everything started is stopped then, and
# also when the script fails.
set -eu

LAB_TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$LAB_TOP/tests/lab/lab.sh"
. "$LAB_TOP/tests/lab/world.sh"

lab_begin "${SYSTEM_RUN:-${TMPDIR:-/tmp}/sallyport-$(basename "$0" .sh)}"
failures=0

# A check failed: who reads that has this text, and perhaps nothing else of the run.
not_ok() {	# WHAT
	failures=$((failures + 1))
	echo "not ok $1"
	for lately in $(find "$LAB" -maxdepth 1 -name '*.log' -size +0 -newermt '-30 seconds' | sort | head -n 12); do
		echo "    the end of ${lately##*/}:"
		tail -n 6 "$lately" | cut -c 1-300 | LC_ALL=C sed 's/[^[:print:]\t]/?/g; s/^/      /'
	done
}

# ok WHAT COMMAND [ARGUMENT]...: the command succeeds
ok() {
	what=$1
	shift
	if "$@"; then
		echo "ok $what"
	else
		not_ok "$what"
	fi
}

# no WHAT COMMAND [ARGUMENT]...: the command fails
no() {
	what=$1
	shift
	if "$@"; then
		not_ok "$what"
	else
		echo "ok $what"
	fi
}

# answers WHAT STATUS ARGUMENT...: sipsend, whose last final answer has that status
answers() {
	what=$1 status=$2
	shift 2
	lab_sipsend sipsend "$@" || :
	last=$(grep -a '^SIP/2.0 [2-6]' "$LAB/sipsend.log" | tail -n 1)
	case $last in
	"SIP/2.0 $status "*)
		echo "ok $what" ;;
	*)
		not_ok "$what"
		echo "    wanted $status, got: ${last:-no answer}"
		grep -a '^--- ' "$LAB/sipsend.log" | sed 's/^/    /' ;;
	esac
}

# expected_end NAME: it has ended, as the test wanted it to
expected_end() {
	lab_wait_quietly 10 lab_gone "$1"
	rm -f "$LAB/$1.pid"
}

# Did everything that was started live until now, and did no sanitizer complain?
finish() {
	for name in $(lab_processes); do
		if [ -e "$LAB/$name.pid" ] && lab_gone "$name"; then
			ok "$name is still alive" false
			tail -n 20 "$LAB/$name.log" | sed 's/^/    /'
		fi
	done
	lab_end
	if complaint=$(grep -a -E -m 1 'ERROR: [A-Za-z]*Sanitizer|runtime error:' "$LAB"/*.log); then
		ok "no sanitizer complained" false
		echo "    $complaint"
	fi
	[ "$failures" -eq 0 ]
}
