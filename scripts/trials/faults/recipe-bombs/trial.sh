# A key of 40,000 parts took 1.7 GB, 200,000 keys took minutes, 500,000 brackets ended the program.
{ printf 'a.%.0s' $(seq 40000); echo 'a=1'; } >parts.toml
{ "$TRAINER" recipe mnist-basic; echo '[zzz]'; seq -f 'k%.0f=1' 200000; } >keys.toml
{ printf 'a = '; head -c 500000 /dev/zero | tr '\0' '['; } >depth.toml
truncate -s 1T size.toml
for what in parts keys depth size; do
	memory_below 120 timeout 10 "$TRAINER" -recipe $what.toml -dry-run
	status_is 2
	one_line
done
