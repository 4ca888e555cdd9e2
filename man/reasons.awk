# reasons.awk - sallyport-reasons(7) out of POLICY_REASONS in policy/reason.h.
# A row is  X(ENUMERATOR, "name", status, diagnostics, public, "sentence") \  and
# a comment between rows begins a group.

BEGIN {
	print ".\\\" Made from policy/reason.h by man/reasons.awk."
	print ".Dd November 20, 2026"
	print ".Dt SALLYPORT-REASONS 7"
	print ".Os"
	print ".Sh NAME"
	print ".Nm sallyport-reasons"
	print ".Nd why Sallyport let a message pass or refused it"
	print ".Sh DESCRIPTION"
	print "Every decision of"
	print ".Xr sallyport-edge 8"
	print "and"
	print ".Xr sallyport-director 8"
	print "has exactly one reason."
	print "It stands in the log as"
	print ".Ql reason= ,"
	print "in the counters of"
	print ".Xr sallyportctl 8"
	print "and in every explanation."
	print "The outside is told the status alone, and an"
	print ".Ql ms-diagnostics-public"
	print "number where the list says"
	print ".Dq told outside ."
}

function one_of_ours() {
	return $0 ~ /^\tX\(/
}

/^#define POLICY_REASONS/ { inside = 1; next }
!inside { next }

/^\t\/\*/ {
	title = $0
	sub(/^\t\/\* */, "", title)
	sub(/ *\*\/.*$/, "", title)
	next
}

one_of_ours() {
	split($0, text, "\"")
	name = text[2]
	sentence = text[4]
	split(text[3], number, /, */)
	status = number[2]; diagnostics = number[3]; public = number[4]
	if (title != "") {
		if (open)
			print ".El"
		print ".Ss " toupper(substr(title, 1, 1)) substr(title, 2)
		print ".Bl -tag -width Ds"
		open = 1
		title = ""
	}
	print ".It Cm " name
	print sentence
	if (status == 0)
		print "Nothing is answered."
	else
		print "Status " status "."
	if (diagnostics != 0)
		print "Diagnostics " diagnostics (public ? ", told outside." : ".")
	rows++
	if ($0 !~ /\\$/)
		inside = 0
}

END {
	print ".El"
	print ".Sh SEE ALSO"
	print ".Xr sallyport-director 8 ,"
	print ".Xr sallyport-edge 8 ,"
	print ".Xr sallyportctl 8"
	if (rows == 0)
		exit 1
}
