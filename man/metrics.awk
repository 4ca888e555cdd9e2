# metrics.awk - sallyport-metrics(7) out of STATS_METRICS, STATS_SETS and STATS_LIMITS in net/stats.h,
# and of the table partner_metrics in net/stats.c. A row of the first is
#	X(ENUMERATOR, "name", TYPE, FIRST SET, SECOND SET, "help") \

BEGIN {
	print ".\\\" Made from net/stats.h and net/stats.c by man/metrics.awk."
	print ".Dd November 20, 2026"
	print ".Dt SALLYPORT-METRICS 7"
	print ".Os"
	print ".Sh NAME"
	print ".Nm sallyport-metrics"
	print ".Nd what Sallyport counts"
	print ".Sh DESCRIPTION"
	print "Both daemons count what they do, and tell it in the text format of Prometheus, version 0.0.4; so does the admin page."
	print "Each metric has labels with values from closed sets: nothing that comes from outside makes a new series."
	print "Times and sizes are in seconds and bytes."
	print "Counters begin at 0 when the process starts; what only the others count stays at 0."
	print "Where not each value has been seen, those that are 0 may be left out."
	print ".Bl -tag -width Ds"
	print ".It sallyport_build_info"
	print "Which program and version this is; always 1."
	kinds["COUNTER"] = kinds["SEEN"] = "Counter"
	kinds["GAUGE"] = kinds["SEEN_GAUGE"] = "Gauge"
	kinds["WORKER"] = "Gauge, for each worker"
	kinds["HISTOGRAM"] = kinds["FINE"] = "Histogram"
}

/^#define STATS_LIMITS/ { what = "limits" }
/^#define STATS_SETS/ { what = "sets" }
/^#define STATS_METRICS/ { what = "metrics" }
/partner_metrics\[STATS_NPARTNER\]/ { what = "partners" }
what != "partners" && !/\\$/ && !/^\tX\(/ { what = "" }
what == "partners" && /^};/ { what = "" }

what == "limits" && /^\tX\(/ {
	split($0, text, "\"")
	limit[++limits] = text[2]
	bounds[limits] = text[4]
}

what == "sets" && /^\tX\(/ {
	split($0, text, "\"")
	sub(/^\tX\(/, "", text[1])
	sub(/,.*/, "", text[1])
	label[text[1]] = text[2]
}

what == "metrics" && /^\tX\(/ {
	split($0, text, "\"")
	split(text[3], word, /, */)
	print ".It " text[2]
	print text[4]
	line = kinds[word[2]]
	n = 0
	for (i = 3; i <= 4; i++)
		if (label[word[i]] != "" && word[i] != "BUCKETS")
			line = line (n++ ? " and " : "; by ") label[word[i]]
	print line "."
	rows++
}

what == "partners" && /"/ {
	split($0, text, "\"")
	print ".It " text[2]
	print text[4]
	print "Counter; by partner."
	rows++
}

END {
	print ".El"
	print ".Pp"
	print "A partner is one that the policy names, by its server's name."
	print "The values of reason are those of"
	print ".Xr sallyport-reasons 7 ;"
	print "class is what the far end is: for the edge one of the classes of"
	print ".Xr policy.conf 5 ,"
	print "for the Director client, edge, pool, route or server."
	print "The limits are:"
	print ".Bl -tag -width Ds"
	for (i = 1; i <= limits; i++) {
		print ".It Cm " limit[i]
		print toupper(substr(bounds[i], 1, 1)) substr(bounds[i], 2) "."
	}
	print ".El"
	print ".Sh SEE ALSO"
	print ".Xr edge.conf 5 ,"
	print ".Xr policy.conf 5 ,"
	print ".Xr sallyport-reasons 7 ,"
	print ".Xr sallyport-director 8 ,"
	print ".Xr sallyport-edge 8 ,"
	print ".Xr sallyportctl 8"
	if (rows == 0 || limits == 0)
		exit 1
}
