# A checkpoint from which the checksum had been taken was trusted.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run
stop INT
LC_ALL=C sed -i 's/"crc32c"/"crc32x"/' run/checkpoint.safetensors
run "$TRAINER" -resume run -quiet
status_is 2
one_line
expect "it has no checksum"
