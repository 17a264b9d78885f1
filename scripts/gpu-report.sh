#!/usr/bin/env bash
# Runs everything that needs a real GPU, and writes one report. Each stage has a time limit; a failed stage is recorded,
# and the next one runs. -budget limits the time of all stages together: stages with no time left are recorded as
# skipped. The order is that of the stages' worth: correctness, steps and PyTorch's steps for all recipes, whole trainings,
# then single kernels. A stage that has less than a third of its limit left is skipped for the sake of shorter ones.
#
# It needs Linux, bash, coreutils, tar with xz (or Python 3), an NVIDIA GPU with its driver, and cuBLAS and cuDNN in a
# place where `trainer doctor` finds them, for example in PyTorch's wheels. If `build` has made the programs, it needs
# no Go and no compiler. Some stages need more and are skipped without it: CIFAR-10 (-cifar10), Python with PyTorch for
# the comparison, whose torch.compile needs a C compiler, nvidia-smi, compute-sanitizer, nsys, ncu. It changes no
# setting of the GPU.
#
#   stage            at most   what
#   doctor             40 s    trainer doctor
#   conformance       100 s    every operation against a float64 reference      | these run at the
#   gpu-tests         120 s    the other tests of package gpu                   | same time, because
#   training           60 s    whole trainings                                  | they measure no time
#   parity             90 s    every recipe's first steps against the CPU       |
#   memcheck          100 s    compute-sanitizer: memory                        |
#   racecheck         150 s    compute-sanitizer: races                         |
#   initcheck         100 s    compute-sanitizer: uninitialised memory          |
#   steps             100 s    training steps of every recipe, in all precisions, with and without CUDA graph
#   peers             150 s    training steps compared with PyTorch's, in turn
#   full-airbench94    45 s    whole trainings, ten seeds
#   full-cifar10-94    25 s    five seeds
#   full-airbench94-autotune 25 s  the same with -autotune, five seeds
#   full-mnist         20 s    ten seeds
#   start              20 s    whole processes: mnist with an empty kernel cache of the driver, mnist again, airbench94
#   time-to-80         15 s    cifar10 to 80%, with an evaluation after each epoch
#   precision-*     4 x 25 s   one recipe in fp32, tf32, fp16, bf16, three seeds each
#   torch-train        70 s    the whole training of airbench94 in PyTorch
#   memory             35 s    our kernels compared with a copy
#   nsys               20 s    profile of a training, if nsys is installed
#   ncu-*          2 x 30 s    profiles of a step of mnist and of airbench94, if ncu is installed
#   gemm               25 s    matrix products
#   conv               60 s    convolutions
#   cudnn              30 s    our kernels compared with cuDNN's layers, in turn
#   busy               15 s    GPU utilisation during a training, by nvidia-smi
#   figures            10 s    curves and confusion matrix of time-to-80
#   full-airbench96   100 s    one seed
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/gpu-report.sh build DIR       write the packed programs and this script to a folder (needs Go)
       scripts/gpu-report.sh run [options]   measure this machine's first GPU
       scripts/gpu-report.sh dry [options]   run all stages on the software emulation of CUDA, without speeds, to check
                                             the script (needs Go and a C++ compiler)

  -out DIR         folder for the report; must not hold a report yet (default gpu-report-DATE)
  -programs DIR    folder that build wrote (default: this script's folder if it has them, else they are built)
  -cifar10 DIR     folder with CIFAR-10's six .bin files (default: skip the stages that need them)
  -python PROGRAM  Python 3.11 or newer with PyTorch; "" for none (default python3)
  -budget SECONDS  time limit for everything (default 570)
  -peers SECONDS   time limit for the comparison with PyTorch (default 150); 400 leaves time for torch.compile's
                   max-autotune
  -stages LIST     run only these, such as "doctor steps peers"; a name may be a pattern: "full-*"
  -pack            write report.md, logs.tar.gz and pictures instead of a folder of logs

Exit status: 0 all stages passed or were skipped, 1 some stages failed (see the report), 2 invalid arguments.
TEXT
}

fail() {
  echo "gpu-report.sh: $1" >&2
  exit "${2:-2}"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packed=programs.tar.xz
maxPacked=$((45 << 20)) # bytes of the packed programs

# compile DIR builds the programs, stripped, into a folder, and copies the files that they read.
compile() {
  local root out=$1 go=${GO:-go} flags compiler
  root=$(dirname "$here")
  [ -f "$root/scripts/cuda-env.sh" ] || fail "found no programs beside $0, and no checkout to build them from" 1
  compiler=$(cd "$root" && ./scripts/cuda-cc.sh) || fail 'the CUDA device cannot be built on this machine' 1
  mkdir -p "$out/recipes" "$out/peers"
  (
    cd "$root"
    # shellcheck disable=SC1091 # it is checked separately
    . ./scripts/cuda-env.sh
    export CC=$compiler CGO_ENABLED=1
    version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
    flags="-s -w -X main.version=$version"
    "$go" build -tags cuda -trimpath -ldflags "$flags" -o "$out/trainer" ./cmd/trainer
    "$go" build -tags cuda -trimpath -ldflags "$flags" -o "$out/worker" ./bench/peers/worker
    "$go" build -trimpath -ldflags "$flags" -o "$out/gpureport" ./bench/gpureport
    "$go" test -c -tags cuda -trimpath -ldflags '-s -w' -o "$out/gpu.test" ./gpu
    "$go" test -c -tags cuda -trimpath -ldflags '-s -w' -o "$out/training.test" ./gpu/training
    "$go" test -c -tags cuda -trimpath -ldflags '-s -w' -o "$out/bench.test" ./bench
    cp bench/peers/*.py "$out/peers/"
    cp nn/recipe/recipes/*.toml "$out/recipes/"
  ) || fail 'the programs do not build' 1
}

# pack DIR builds the programs and packs them into a folder: one archive, whose window is large enough to share what the
# programs have in common.
pack() {
  local size
  mkdir -p "$1"
  compile "$temp/programs"
  tar -C "$temp/programs" -cf - . | xz -T0 --lzma2=preset=6,dict=64MiB >"$1/$packed"
  cp "$here/gpu-report.sh" "$1/"
  size=$(wc -c <"$1/$packed")
  [ "$size" -le $maxPacked ] || fail "$1/$packed has $size bytes, want at most $maxPacked" 1
  echo "$1: $packed of $((size >> 20)) MiB, and gpu-report.sh"
}

# unpack FILE DIR
unpack() {
  mkdir -p "$2"
  if command -v xz >/dev/null; then
    tar -C "$2" -xJf "$1"
  else
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2])' "$1" "$2"
  fi
}

# wanted NAME reports whether the stage was asked for.
wanted() {
  local pattern
  [ -n "$stages" ] || return 0
  for pattern in "${list[@]}"; do
    # A pattern, so without quotes.
    # shellcheck disable=SC2053
    [[ $1 == $pattern ]] && return 0
  done
  return 1
}

left() { echo $((deadline - SECONDS)); }

# record NAME RESULT SECONDS LIMIT REMARK COMMAND adds a line to the stages.
record() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${5//$'\t'/ }" "${6//$'\t'/ }" >>"$logs/stages.tsv"; }

# skip NAME REASON
skip() {
  wanted "$1" || return 0
  record "$1" skipped '' '' "$2" ''
  echo "$1: skipped: $2"
}

# shown ARGUMENTS prints a command as a person would type it, in one line: without a shell script of several lines.
shown() {
  local text='' word
  for word; do
    [[ $word != *$'\n'* ]] || word="'...'"
    text+="${text:+ }$word"
  done
  text=${text//"$programs/"/}
  text=${text//"$logs/"/}
  text=${text//"$logs"/.}
  text=${text//"$temp/"/}
  [ -z "$cifar10" ] || text=${text//"$cifar10"/DIR}
  echo "${text#env }"
}

# last FILE... prints the last informative line, shortened.
last() { cat "$@" 2>/dev/null | grep -vE '^[[:space:]]*(FAIL|PASS|--- .*|exit status.*)?$' | tail -n 1 | sed 's/^[[:space:]]*//' | cut -c 1-200 || true; }

# stage NAME LIMIT COMMAND... runs a stage: standard output to NAME.log, the rest to NAME.err.
stage() {
  local name=$1 limit=$2 began=$SECONDS status=0 result=ok remark=''
  shift 2
  wanted "$name" || return 0
  # A stage that would be stopped half-way takes the time of a shorter one that would end.
  if [ "$(left)" -lt $((limit / 3 > 5 ? limit / 3 : 5)) ]; then
    skip "$name" "$(left) s left, and it takes up to $limit s"
    return 0
  fi
  [ "$limit" -le "$(left)" ] || limit=$(left)
  timeout -k 10 "$limit" "$@" >"$logs/$name.log" 2>"$logs/$name.err" </dev/null || status=$?
  case $status in
  0) ;;
  124 | 137)
    result=stopped
    remark="stopped after $limit s; the tables have its results so far"
    ;;
  *)
    result=failed
    remark="status $status: $(last "$logs/$name.log" "$logs/$name.err")"
    ;;
  esac
  [ -s "$logs/$name.err" ] || rm -f "$logs/$name.err"
  record "$name" "$result" $((SECONDS - began)) "$limit" "$remark" "$(shown "$@")"
  echo "$name: $result, $((SECONDS - began)) s${remark:+: $remark}"
}

# train NAME LIMIT ARGUMENTS... runs a stage that trains; its run folder is runs/NAME.
train() {
  local name=$1 limit=$2
  shift 2
  wanted "$name" || return 0
  stage "$name" "$limit" "$programs/trainer" -device cuda "$@" "${small[@]}" -json -out "$logs/runs/$name"
}

# report writes the report on the stages so far.
report() {
  local dryFlag=()
  [ -z "$dry" ] || dryFlag=(-dry)
  "$programs/gpureport" -in "$logs" -out "$out/report.md" "${dryFlag[@]}" || echo 'gpu-report.sh: the report could not be written' >&2
}

# facts records facts about the machine.
facts() {
  local cpu
  cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
  {
    printf 'date\t%s\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
    printf 'trainer\t%s\n' "$("$programs/trainer" version 2>/dev/null | head -n 2 | tr -s ' ' | paste -s -d ',' | sed 's/,/, /' || true)"
    printf 'processor\t%s, %s threads, %s\n' "${cpu:-unknown}" "$(nproc)" "$(uname -sm)"
    printf 'command\t%s\n' "\`$arguments\`"
  } >"$logs/facts.tsv"
  clocks
}

# clocks adds a line with the GPU's state, the first time with the names of the columns.
clocks() {
  local format=csv
  [ -z "$dry" ] && command -v nvidia-smi >/dev/null || return 0
  [ ! -s "$logs/machine.csv" ] || format=csv,noheader
  nvidia-smi -i 0 --format="$format" \
    --query-gpu=name,driver_version,memory.total,memory.used,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.draw,power.limit,temperature.gpu,mig.mode.current \
    >>"$logs/machine.csv" 2>>"$logs/nvidia-smi.err" || true
}

# correctness runs the stages that measure no time, all at the same time.
correctness() {
  local limit conformance='^TestConformance$' tests=(-test.run . -test.skip '^TestConformance$') trainings=(-test.run .) recipes=TestRecipes checked='TestRecipes/^(mnist|cifar10-basic)$/^(fp16|fp32)$' tool
  if [ -n "$dry" ]; then
    conformance='^TestConformance$/^(matmul|softmax)$' tests=(-test.run '^TestPlansAllocateNothing$') trainings=(-test.run '^TestTrainingParity$') recipes='TestRecipes/^mnist-basic$'
  fi
  stage conformance 100 env TRAINER_TEST_GPU=1 "$programs/gpu.test" -test.v -test.run "$conformance" &
  stage gpu-tests 120 env TRAINER_TEST_GPU=1 "$programs/gpu.test" -test.v "${tests[@]}" &
  stage training 60 env TRAINER_TEST_GPU=1 "$programs/training.test" -test.v "${trainings[@]}" &
  stage parity 90 env TRAINER_TEST_GPU=1 "$programs/bench.test" -test.v -test.run "$recipes" &
  for tool in memcheck racecheck initcheck; do
    if [ -z "$dry" ] && command -v compute-sanitizer >/dev/null; then
      limit=100
      [ $tool != racecheck ] || limit=150
      stage $tool $limit env TRAINER_TEST_GPU=1 compute-sanitizer --tool $tool --error-exitcode 99 --print-limit 20 \
        "$programs/bench.test" -test.run "$checked" &
    else
      skip $tool 'no compute-sanitizer'
    fi
  done
  wait
  report
}

# bench NAME LIMIT PATTERN runs a stage of benchmarks.
bench() {
  local name=$1 limit=$2 time=0.1s
  [ "$name" != steps ] || time=0.5s
  [ -z "$dry" ] || time=1x
  stage "$name" "$limit" env TRAINER_BENCH_DEVICE=cuda TRAINER_BENCH_DRY="${dry:-0}" "$programs/bench.test" -test.run '^$' -test.bench "$3" -test.benchtime $time
}

# hasTorch reports whether there is a Python with PyTorch.
hasTorch() {
  [ -n "$python" ] && command -v "$python" >/dev/null &&
    "$python" -c 'import importlib.util, sys; sys.exit(sys.version_info < (3, 11) or importlib.util.find_spec("torch") is None)' 2>/dev/null
}

# peers compares with PyTorch: peers NAME LIMIT ARGUMENTS...
peers() {
  local name=$1 limit=$2 dryFlag=()
  shift 2
  wanted "$name" || return 0
  if ! hasTorch; then
    skip "$name" 'no Python 3.11 or newer with PyTorch (-python)'
    return 0
  fi
  [ "$limit" -le "$(left)" ] || limit=$(left)
  [ -z "$dry" ] || dryFlag=(-dry -rounds 1 -seconds 0.05)
  stage "$name" "$limit" env PYTHONDONTWRITEBYTECODE=1 "$python" "$programs/peers/gpu.py" -worker "$programs/worker" \
    -recipes "$programs/recipes" -budget $((limit > 15 ? limit - 8 : limit)) -out "$logs/$name.md" "${dryFlag[@]}" "$@"
}

# cifar NAME... skips the stages, and fails, if CIFAR-10 is missing.
cifar() {
  [ -z "$cifar10" ] || return 0
  local name
  for name in "$@"; do skip "$name" 'no CIFAR-10 (-cifar10)'; done
  return 1
}

trainings() {
  local data=(-data cifar10 -data-dir "$cifar10" -offline) p
  if cifar full-airbench94 full-cifar10-94 full-airbench94-autotune; then
    train full-airbench94 45 -recipe airbench94 "${data[@]}" -runs "$seeds_main"
    train full-cifar10-94 25 -recipe cifar10-94 "${data[@]}" -runs "$seeds_autotune"
    if [ -n "$dry" ]; then
      skip full-airbench94-autotune 'timing algorithms takes too long on the software emulation'
    else
      train full-airbench94-autotune 25 -recipe airbench94 "${data[@]}" -runs "$seeds_autotune" -autotune
    fi
  fi
  train full-mnist 20 -recipe mnist "${mnist[@]}" -runs "$seeds_main"
  starts
  report
  if cifar time-to-80 'precision-*' torch-train; then
    train time-to-80 15 -recipe cifar10 "${data[@]}" -set eval-every=1
    for p in fp32 tf32 fp16 bf16; do
      train precision-$p 25 -recipe cifar10 "${data[@]}" -precision $p -runs "$seeds_precision"
    done
    peers torch-train 70 -train "$cifar10" -rows airbench94
  fi
  report
}

# starts measures whole processes, and what their parts take.
starts() {
  local more=()
  [ -z "$cifar10" ] || more=(-- airbench94 -recipe airbench94 -data cifar10 -data-dir "$cifar10" -offline)
  # shellcheck disable=SC2016 # the inner shell expands it
  stage start 20 env TRAINER_PHASES=1 bash -c '
    logs=$1 program=$2 small=$3
    shift 3
    TIMEFORMAT=%R
    # once NAME ARGUMENTS... runs a training, and prints its parts and its time.
    once() {
      local name=$1 seconds
      shift
      # shellcheck disable=SC2086 # flags
      seconds=$({ time "$program" -device cuda "$@" $small -quiet -out "$logs/runs/start-${name// /-}" >/dev/null 2>"$logs/start.parts"; } 2>&1) || { cat "$logs/start.parts" >&2; exit 1; }
      grep "^trainer: " "$logs/start.parts" || true
      printf "%s\t%s\n" "$name" "$seconds"
    }
    mnist=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do mnist+=("$1"); shift; done
    mkdir -p "$logs/empty-cache"
    CUDA_CACHE_PATH=$logs/empty-cache once "mnist with an empty kernel cache" "${mnist[@]}"
    once mnist "${mnist[@]}"
    once "mnist again" "${mnist[@]}"
    if [ "${1-}" = -- ]; then shift; once "$@"; fi
  ' start "$logs" "$programs/trainer" "${small[*]}" -recipe mnist "${mnist[@]}" "${more[@]}"
  rm -rf "$logs/empty-cache" "$logs/start.parts"
}

# busy trains while nvidia-smi samples the utilisation.
busy() {
  local job=(-recipe mnist "${mnist[@]}" -epochs 40) watch
  wanted busy || return 0
  [ -z "$cifar10" ] || job=(-recipe airbench94 -data cifar10 -data-dir "$cifar10" -offline -runs 2)
  if [ -n "$dry" ] || ! command -v nvidia-smi >/dev/null; then
    skip busy 'no nvidia-smi'
    return 0
  fi
  nvidia-smi -i 0 --query-gpu=utilization.gpu,clocks.sm,power.draw --format=csv -lms 100 >"$logs/busy.csv" 2>/dev/null &
  watch=$!
  stage busy 15 "$programs/trainer" -device cuda "${job[@]}" -quiet -out "$logs/runs/busy"
  kill "$watch" 2>/dev/null || true
  wait "$watch" 2>/dev/null || true
}

# profiles runs NVIDIA's profilers.
profiles() {
  local job=(-recipe mnist "${mnist[@]}" -epochs 1)
  [ -z "$cifar10" ] || job=(-recipe airbench94 -data cifar10 -data-dir "$cifar10" -offline -epochs 1)
  if [ -z "$dry" ] && command -v nsys >/dev/null; then
    # shellcheck disable=SC2016 # the inner shell expands it
    stage nsys 20 bash -c 'nsys profile -t cuda --cuda-graph-trace=node -f true -o "$1/nsys" "${@:2}" && nsys stats -q --report cuda_gpu_kern_sum --format csv "$1/nsys.nsys-rep" >"$1/nsys.csv"' \
      nsys "$logs" "$programs/trainer" -device cuda "${job[@]}" -quiet -out "$logs/runs/nsys"
    rm -f "$logs"/nsys.nsys-rep "$logs"/nsys.sqlite
  else
    skip nsys 'no nsys'
  fi
  ncuStep mnist 600 60 -recipe mnist "${mnist[@]}" -epochs 0.1
  if cifar ncu-airbench94; then
    ncuStep airbench94 700 100 -recipe airbench94 -data cifar10 -data-dir "$cifar10" -offline -epochs 0.3
  fi
}

# ncuStep RECIPE SKIP COUNT ARGUMENTS... profiles a step of a short training: COUNT launches after SKIP of them. Without --kill,
# after which ncu itself does not end, so that the training goes on to its end.
ncuStep() {
  local name=ncu-$1 skipped=$2 count=$3
  shift 3
  if [ -n "$dry" ] || ! command -v ncu >/dev/null; then
    skip "$name" 'no ncu'
    return 0
  fi
  stage "$name" 30 ncu --clock-control none --csv --page raw --print-units base --log-file "$logs/$name.csv" \
    --launch-skip "$skipped" --launch-count "$count" \
    --metrics gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,sm__throughput.avg.pct_of_peak_sustained_elapsed,dram__bytes_read.sum,dram__bytes_write.sum,sm__inst_executed_pipe_tensor.sum \
    "$programs/trainer" -device cuda -cuda-graph=false "$@" -quiet -out "$logs/runs/$name"
}

# figures draws time-to-80, or else a run of full-mnist.
figures() {
  local name run=$logs/runs/time-to-80
  [ -f "$run/summary.json" ] || run=$logs/runs/full-mnist/seed-0
  if [ ! -f "$run/summary.json" ]; then
    skip figures 'no run to draw'
    return 0
  fi
  stage figures 10 "$programs/trainer" draw run -device cpu -o "$logs/figures" "$run"
  for name in curves confusion; do
    [ ! -f "$logs/figures/$name.png" ] || cp "$logs/figures/$name.png" "$out/"
  done
}

# all runs the stages, the most informative first.
all() {
  facts
  stage doctor 40 "$programs/trainer" doctor
  # Always, because the report names the GPU that it finds.
  timeout 40 "$programs/trainer" doctor -json >"$logs/doctor.json" 2>/dev/null || true
  report
  correctness
  clocks
  if [ -n "$dry" ]; then
    bench steps 100 Benchmark/cuda/step/mnist
  else
    bench steps 100 Benchmark/cuda/step
  fi
  report
  peers peers "$peersLimit"
  report
  trainings
  bench memory 35 Benchmark/cuda/memory
  profiles
  bench gemm 25 Benchmark/cuda/gemm
  bench conv 60 "Benchmark/cuda/conv${dry:+/fp16/mnist}"
  stage cudnn 30 env TRAINER_TEST_GPU=1 TRAINER_BENCH_DRY="${dry:-0}" "$programs/gpu.test" -test.run '^$' \
    -test.bench '^BenchmarkAgainstCuDNN$' -test.benchtime "$rounds"
  clocks
  busy
  figures
  if cifar full-airbench96; then
    train full-airbench96 100 -recipe airbench96 -data cifar10 -data-dir "$cifar10" -offline
  fi
}

# finish leaves the report and the logs in the requested form.
finish() {
  failed=$(grep -cE $'^[^\t]*\tfailed\t' "$logs/stages.tsv" || true)
  find "$logs" -name '*.safetensors' -delete
  # What -autotune has measured on this GPU, for those who want to start from it.
  cp "${XDG_CACHE_HOME:-$HOME/.cache}/trainer/cudnn-algorithms.json" "$out/" 2>/dev/null || true
  report
  if [ -n "$packLogs" ]; then
    tar -C "$out" -czf "$out/logs.tar.gz" logs
    rm -rf "$logs"
  fi
}

# emulate prepares a dry run: the software emulation, and small files instead of the data sets.
emulate() {
  local folder i k
  folder=$(TRAINER_EMULATION_FOLDER=1 "$programs/bench.test" -test.run '^TestEmulationFolder$' | sed -n 's/^emulation: //p')
  [ -n "$folder" ] || fail 'the software emulation needs a C++ compiler' 1
  export TRAINER_CUDA_PATH=$folder CUDASIM="report=$temp/findings" XDG_CACHE_HOME=$temp/cache
  if [ -z "$cifar10" ]; then
    cifar10=$temp/cifar10
    mkdir "$cifar10"
    for i in data_batch_{1..5} test_batch; do
      for k in '\x00' '\x01' '\x02' '\x03'; do
        printf '%b' "$k"
        head -c 3072 /dev/urandom
      done >"$cifar10/$i.bin"
    done
  fi
  mkdir "$temp/mnist"
  for i in train t10k; do
    { printf '\0\0\x08\x03\0\0\0\x28\0\0\0\x1c\0\0\0\x1c'; head -c $((40 * 28 * 28)) /dev/urandom; } >"$temp/mnist/$i-images-idx3-ubyte"
    { printf '\0\0\x08\x01\0\0\0\x28'; head -c 40 /dev/zero; } >"$temp/mnist/$i-labels-idx1-ubyte"
  done
  mnist=(-data mnist -data-dir "$temp/mnist")
  small=(-epochs 0.4 -batch 4) seeds_main=2 seeds_autotune=2 seeds_precision=1 rounds=1x
}

mode=${1:-}
case $mode in
-h | --help | help)
  usage
  exit 0
  ;;
build | run | dry) shift ;;
*)
  usage >&2
  exit 2
  ;;
esac

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
# Background jobs end with the script.
trap 'kill $(jobs -p) 2>/dev/null || true; exit 143' TERM INT

if [ "$mode" = build ]; then
  if [ $# -ne 1 ] || [ -z "$1" ]; then fail 'build takes one folder'; fi
  pack "$1"
  exit 0
fi

out=gpu-report-$(date +%Y-%m-%d-%H%M%S)
programs='' cifar10='' python=python3 budget=570 peersLimit=150 stages='' packLogs='' dry='' small=() mnist=(-data mnist)
seeds_main=10 seeds_autotune=5 seeds_precision=3 # seeds per stage
rounds=9x # of the comparison with cuDNN
[ "$mode" = run ] || dry=1
arguments="scripts/gpu-report.sh $mode" # without paths of this machine
while [ $# -gt 0 ]; do
  option=$1
  if [ "$option" = -pack ]; then
    packLogs=1 arguments+=' -pack'
    shift
    continue
  fi
  [ $# -ge 2 ] || fail "$option: missing value (-h lists the options)"
  case $option in
  -out) out=$2 ;;
  -programs) programs=$2 ;;
  -cifar10) cifar10=$2 arguments+=' -cifar10 DIR' ;;
  -python) python=$2 ;;
  -budget) budget=$2 arguments+=" -budget $2" ;;
  -peers) peersLimit=$2 arguments+=" -peers $2" ;;
  -stages) stages=$2 arguments+=" -stages '$2'" ;;
  *) fail "unknown option $option (-h lists them)" ;;
  esac
  shift 2
done
[[ $budget =~ ^[1-9][0-9]*$ ]] || fail "-budget $budget: want a whole number of seconds"
[[ $peersLimit =~ ^[1-9][0-9]*$ ]] || fail "-peers $peersLimit: want a whole number of seconds"
if [ -e "$out/report.md" ] || [ -e "$out/logs" ]; then fail "-out $out: it already holds a report"; fi
if [ -n "$cifar10" ]; then
  [ -f "$cifar10/data_batch_1.bin" ] || fail "-cifar10 $cifar10: data_batch_1.bin not found"
  cifar10=$(cd "$cifar10" && pwd)
fi
read -r -a list <<<"$stages"

mkdir -p "$out/logs"
out=$(cd "$out" && pwd)
logs=$out/logs
if [ -z "$programs" ] && [ -f "$here/$packed" ]; then programs=$here; fi
if [ -z "$programs" ]; then
  programs=$temp/programs
  compile "$programs"
elif [ -f "$programs/$packed" ]; then
  unpack "$programs/$packed" "$temp/programs"
  programs=$temp/programs
fi
[ -x "$programs/trainer" ] || fail "-programs $programs: found neither $packed nor trainer"
programs=$(cd "$programs" && pwd)

SECONDS=0
deadline=$budget
[ -z "$dry" ] || emulate
all
finish
if [ -s "$temp/findings" ]; then
  cat "$temp/findings" >&2
  fail 'the software emulation reported the errors above' 1
fi
echo "report: $out/report.md, after $SECONDS s"
[ "$failed" = 0 ] || fail "$failed stages failed" 1
