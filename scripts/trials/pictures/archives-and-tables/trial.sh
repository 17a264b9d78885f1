# Archives are read in place; names that lead out of them are refused.
digits "$PWD/pictures" 2 8
export XDG_CACHE_HOME=$PWD/cache
tar -cf set.tar pictures && tar -czf set.tgz pictures
for set in set.tar set.tgz; do
	tiny $set -dry-run
	status_is 0
	expect "2 classes, 16 gray pictures"
done
tar -cPf out.tar ../"$(basename "$PWD")"/pictures
tiny out.tar -dry-run
status_is 2
expect "stay inside the archive"
printf '0\n1\n' >names && printf '1\n0\n' >turned && printf '0\n' >short
tiny pictures -classes turned -dry-run
status_is 0
tiny pictures -classes short -dry-run
status_is 2
expect "data.classes"
