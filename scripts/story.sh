#!/usr/bin/env bash
# One user's story, from a folder of photographs to a model that other programs run: see the text below.
set -euo pipefail

usage() {
	cat <<'EOF'
Usage: scripts/story.sh PHOTOS [FOLDER]

Trains six kinds of animals, measures and asks the model, exports it, trains it further for four kinds of
vehicles with a tenth of the images, and compares that with a training from nothing. Everything is written
into FOLDER (default: story), which must not exist.

PHOTOS has train/CLASS/*.jpg and test/CLASS/*.jpg with CIFAR-10's class names. The results in docs/models.md
are of JPEG CIFAR-10.

  TRAINER=./trainer       the program (default: the one that make builds)
  EPOCHS=10               epochs of the first training
  PYTHON=python3          a Python with onnxruntime, numpy and pillow asks the ONNX file too; with torch and
                          safetensors, the PyTorch module; what is missing is skipped, and the script says so
EOF
}

fail() {
	echo "story.sh: $1" >&2
	exit 2
}

case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
esac
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	usage >&2
	exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
photos=$(cd "$1" && pwd)
trainer=$(realpath "${TRAINER:-$here/trainer}")
folder=${2:-story}
epochs=${EPOCHS:-10}
python=${PYTHON:-python3}
[ -x "$trainer" ] || fail "$trainer not found: run make, or set TRAINER"
[ ! -e "$folder" ] || fail "$folder exists: remove it, or name another folder"
[ -d "$photos/train/cat" ] || fail "$photos has no train/cat: want train/CLASS/*.jpg and test/CLASS/*.jpg of CIFAR-10"
mkdir -p "$folder"
cd "$folder"

# pick SET PART COUNT CLASS... copies the first COUNT pictures of each class.
pick() {
	local set=$1 part=$2 count=$3 class
	shift 3
	for class in "$@"; do
		mkdir -p "$set/$part/$class"
		# No pipe into head: it would end find by a signal.
		find "$photos/$part/$class" -type f | sort >list.txt
		head -n "$count" list.txt | while read -r file; do cp "$file" "$set/$part/$class/"; done
		rm list.txt
	done
}

# say TEXT prints a heading, and show COMMAND... a command and what it prints.
say() { printf '\n== %s\n' "$*"; }
show() {
	printf '$ trainer %s\n' "$*"
	"$trainer" "$@"
}

say 'A folder of photographs'
pick animals train 1000 bird cat deer dog frog horse
pick animals test 200 bird cat deer dog frog horse
pick vehicles train 100 airplane automobile ship truck
pick vehicles test 200 airplane automobile ship truck
show data animals

say 'Training, with a tenth of the images held out to choose the best weights'
show -data animals -val 0.1 -epochs "$epochs" -set weights=best -out runs/animals
show draw run runs/animals

say 'How good it is: probabilities calibrated on the held-out images, then the test set'
show evaluate runs/animals -part val -calibrate
show evaluate runs/animals -figures runs/animals/figures
"$trainer" evaluate runs/animals -csv >answers.csv
echo 'The worst mistakes (trainer evaluate runs/animals -csv):'
head -n 4 answers.csv

say 'What it sees'
show predict runs/animals animals/test/cat/000[0-4].jpg animals/test/frog/000[0-4].jpg

say 'For other programs'
show export runs/animals -o animals.onnx
show export runs/animals -to pytorch -o animals-pytorch
"$python" "$here/scripts/story/ask.py" "$trainer" runs/animals animals.onnx animals-pytorch animals/test/cat asked

say 'Other classes: fine-tuned with a tenth of the images, and trained from nothing'
show -init-from runs/animals -data vehicles -val 0.2 -epochs 10 -lr 0.001 -out runs/fine-tuned
show -data vehicles -val 0.2 -epochs 10 -set weights=best -out runs/from-nothing
show compare runs/from-nothing runs/fine-tuned -o compare.png
show runs

say "Pictures: $folder/runs/animals/figures, $folder/compare.png"
