# embed.awk - a text file as a C string: awk -f embed.awk name=NAME FILE
FNR == 1 { printf "/* Made by admin/http/embed.awk. */\n#include \"admin/http/files.h\"\n\nconst char %s[] =\n", name }
{
	gsub(/["\\]/, "\\\\&")
	gsub(/[?][?]/, "?\" \"?")
	printf "\t\"%s\\n\"\n", $0
}
END { print "\t;" }
