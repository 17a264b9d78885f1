package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Output of stages. The numbers are invented.
var files = map[string]string{
	"facts.tsv":   "date\t2000-01-01\nprocessor\ta processor\n",
	"doctor.json": `{"built":true,"usable":true,"verdict":"cuda:0 can be used","driver":{"name":"driver","version":"1.2"},"libraries":[{"name":"cuDNN","version":"9.9"}],"gpus":[{"index":0,"name":"Imaginary 1","compute_capability":"9.0","memory_bytes":1073741824,"usable":true}]}`,
	"machine.csv": "name, clocks.current.sm [MHz]\nImaginary 1, 345 MHz\nImaginary 1, 1980 MHz\n",
	"stages.tsv": "conformance\tfailed\t12\t90\tstatus 1: x | y\tgpu.test -test.v\n" +
		"steps\tok\t30\t80\t\tbench.test -test.bench steps\n" +
		"full-mnist\tok\t3\t30\t\ttrainer -runs 2\n" +
		"cudnn\tok\t9\t30\t\tgpu.test -test.bench cudnn\n" +
		"peers\tskipped\t\t\tno PyTorch\t\n",
	"conformance.log": "=== RUN   TestConformance\n--- FAIL: TestConformance (1.0s)\n    --- PASS: TestConformance/matmul (0.1s)\n    --- FAIL: TestConformance/conv2d (0.2s)\n    --- SKIP: TestConformance/x (0.0s)\n",
	"parity.log": "=== RUN   TestRecipes\n=== RUN   TestRecipes/mnist\n=== RUN   TestRecipes/mnist/fp16\n    x_test.go:1: step 0: loss 2.3, on the CPU 2.4: 3.0e-05 apart, relatively\n" +
		"    x_test.go:1: step 1: loss 2.3, on the CPU 2.4: 2.0e-04 apart, relatively\n--- PASS: TestRecipes (1.0s)\n",
	"memcheck.log": "========= COMPUTE-SANITIZER\nPASS\n========= ERROR SUMMARY: 0 errors\n",
	"steps.log": "goos: linux\nBenchmark/cuda/step/airbench94/fp16-16  \t 9\t 128.0 batch\t 0.5 TFLOP/s\t 1001 img/s\t 990 min-img/s\t 1010 max-img/s\t 5000 us\n" +
		"Benchmark/cuda/step/airbench94/broken-16\n--- SKIP: Benchmark/cuda/step/airbench94/bf16\n",
	"gemm.log": "Benchmark/cuda/gemm/fp16/peak-8192-16\t 5\t 700 TFLOP/s\t 70.5 %datasheet\nBenchmark/cuda/gemm/fp16/square-1024x1024x1024-16\t 5\t 350 TFLOP/s\t 340 min-TFLOP/s\t 360 max-TFLOP/s\t 50.0 %peak\t 6.1 us\n",
	"cudnn.log": "BenchmarkAgainstCuDNN/cuda/mnist/relu-5x5x32/forward-16\t 9\t 3.25 us\t 5.2 cudnn-us\t 1.6 ratio\t 1.5 min-ratio\t 1.75 max-ratio\n" +
		"BenchmarkAgainstCuDNN/cuda/mnist/softmax-10/forward-16\t 9\t 4 us\t 2 cudnn-us\t 0.5 ratio\t 0.4 min-ratio\t 0.6 max-ratio\n" +
		"BenchmarkAgainstCuDNN/cuda/mnist/broken/forward-16\n",
	"busy.csv":   "utilization.gpu [%], clocks.current.sm [MHz], power.draw [W]\n0 %, 345 MHz, 70 W\n40 %, 1900 MHz, 300 W\n97 %, 1980 MHz, 500 W\n99 %, 1980 MHz, 510 W\n98 %, 1980 MHz, 505 W\n20 %, 1980 MHz, 200 W\n0 %, 345 MHz, 80 W\n",
	"peers.md":   "## Compared with PyTorch\n\na table\n",
	"memory.log": "Benchmark/cuda/memory/float32/copy-16\t 5\t 1900 GB/s\t 70 us\nBenchmark/cuda/memory/float16/copy-16\t 5\t 2000 GB/s\t 70 us\n",
	"ncu-mnist.csv": "==PROF== something\n\"ID\",\"Kernel Name\",\"dram__bytes_read.sum\",\"dram__bytes_write.sum\",\"dram__throughput.avg.pct_of_peak_sustained_elapsed\",\"gpu__time_duration.sum\",\"sm__inst_executed_pipe_tensor.sum\",\"sm__throughput.avg.pct_of_peak_sustained_elapsed\"\n" +
		"\"\",\"\",\"byte\",\"byte\",\"%\",\"ns\",\"inst\",\"%\"\n\"0\",\"slow(float *, int)\",\"2,000,000\",\"1,000,000\",\"50\",\"3,000\",\"0\",\"20\"\n\"1\",\"fast\",\"1000\",\"1000\",\"90\",\"1000\",\"64\",\"10\"\n\"2\",\"slow(float *, int)\",\"2000000\",\"1000000\",\"70\",\"3000\",\"0\",\"40\"\n",
	"start.log":                         "trainer: 0.001 to 0.400 s: device\ntrainer: 0.400 to 1.000 s: x | y\nmnist\t1.253\nmnist again\t0.81\n",
	"runs/full-mnist/summary.json":      `{"recipe":"mnist","precision":"fp16","cpu":"Imaginary 1","test_accuracy":0.99,"test_accuracy_std":0.001,"train_seconds":1.5,"total_seconds":4,"runs":[{"train_seconds":2},{"train_seconds":1}]}`,
	"runs/precision-bf16/summary.json":  `{"recipe":"cifar10","precision":"bf16","cpu":"Imaginary 1","test_accuracy":0.9,"train_seconds":3}`,
	"runs/time-to-80/metrics.jsonl":     "{\"epoch\":1,\"evaluated\":true,\"test_accuracy\":0.7,\"seconds\":1,\"eval_seconds\":0.5}\n{\"epoch\":2,\"evaluated\":true,\"test_accuracy\":0.81,\"seconds\":1,\"eval_seconds\":0.25}\n",
	"runs/full-mnist/seed-0/ignored.md": "x",
}

// leave writes files to a folder, without some, and with others in their place.
func leave(t *testing.T, changes map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if other, changed := changes[name]; changed {
			text = other
		}
		if text == "" {
			continue
		}
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestReport(t *testing.T) {
	got := write(leave(t, nil), false)
	if strings.Contains(got, "Not shown") {
		t.Errorf("something can't be read in\n%s", got)
	}
	for _, want := range []string{
		"# On a GPU: Imaginary 1\n",
		"| processor | a processor |",
		"| nvidia-smi: clocks.current.sm [MHz] | 345 MHz → 1980 MHz |",
		"| conformance | **failed** | 12 | 90 | status 1: x \\| y |",
		"| conformance | every operation against a float64 reference, counting its cases | 1 | 2 | 1 | `TestConformance`, `TestConformance/conv2d` |",
		"| memcheck | 0 errors |",
		"| `mnist` | 2.0e-04 |",
		"`bench.test -test.bench steps`",
		"| `airbench94` | fp16 | 128 | 1001 (990 to 1010) | 0.50 |",
		"| `gemm/fp16/peak-8192` | 700 | 70.5 |",
		"| `fp16/square-1024x1024x1024` | 350 (340 to 360) | 50.0 | 6.10 |",
		"`gpu.test -test.bench cudnn`",
		"| `mnist` | `relu-5x5x32/forward` | 3.25 | 5.20 | 1.60 (1.50 to 1.75) |",
		"Our kernel has the smaller median in 1 of 2 cases.",
		"## Compared with PyTorch\n\na table",
		"| `mnist` | fp16 | 2 | 99.00% ± 0.10% | 1.50 s (1.00 to 2.00) | 1.00 s | 4.00 s |  |",
		"| `cifar10` | bf16 | 1 | 90.00% | 3.00 s | – |",
		"| mnist | 1.25 s | 0.001 to 0.400 s: device<br>0.400 to 1.000 s: x \\| y |\n| mnist again | 0.81 s |  |",
		"80% after epoch 2: 2.00 s of training, 0.75 s of evaluation.",
		"In 3 samples from the middle of the training, the median utilisation was 98%, the minimum 97%, the maximum 99%; the highest SM clock was 1980 MHz, the highest power 510 W.",
		"| `slow` | 2 | 3.00 | 85.7 | 60 | 30 | 6.00 | 50 | – |", // 6 MB in 6 us are 1 TB/s
		"| `fast` | 1 | 1.00 | 14.3 | 90 | 10 | 0.00 | 0 | 10 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// For the software emulation no speed is written, even if a file contains one.
func TestNoSpeedOfTheEmulation(t *testing.T) {
	emulated := strings.ReplaceAll(files["doctor.json"], "Imaginary 1", emulation)
	for name, c := range map[string]struct {
		changes map[string]string
		dry     bool
	}{
		"by the doctor": {map[string]string{"doctor.json": emulated}, false},
		"a dry run":     {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := write(leave(t, c.changes), c.dry)
			for _, speed := range []string{"1001", "350", "TFLOP/s |", "1.50 s", "2.00 s", "98%", "slow", "3.25", "smaller median", "1.25 s"} {
				if strings.Contains(got, speed) {
					t.Errorf("%q, a speed, is in\n%s", speed, got)
				}
			}
			for _, want := range []string{"Speeds are left out", "1 cases ran on the " + emulation, "2 cases ran on the " + emulation, "99.00% ± 0.10% | " + emulation} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

// A run that was stopped at the time limit is not counted.
func TestStoppedRunsAreNotCounted(t *testing.T) {
	summary := `{"recipe":"cifar10","precision":"bf16","cpu":"Imaginary 1","test_accuracy":0.9,"train_seconds":3,"interrupted":true,"runs":[{"train_seconds":3},{"train_seconds":2,"interrupted":true}]}`
	got := write(leave(t, map[string]string{"runs/precision-bf16/summary.json": summary}), false)
	if want := "| `cifar10` | bf16 | 1 | 90.00% | 3.00 s | – | 1 more stopped at the time limit, and not counted |"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}

// A run on the emulation has no speed in a report of a GPU.
func TestNoSpeedOfARunOnTheEmulation(t *testing.T) {
	summary := strings.ReplaceAll(files["runs/full-mnist/summary.json"], "Imaginary 1", emulation)
	got := write(leave(t, map[string]string{"runs/full-mnist/summary.json": summary}), false)
	if strings.Contains(got, "1.50 s") || !strings.Contains(got, "99.00% ± 0.10% | "+emulation) {
		t.Errorf("want no time of `mnist` in\n%s", got)
	}
}

// Missing files are left out of the report, and files that can't be read are named.
func TestMissingAndBrokenFiles(t *testing.T) {
	none := map[string]string{}
	for name := range files {
		none[name] = ""
	}
	if got := write(leave(t, none), false); !strings.HasPrefix(got, "# On a GPU: no GPU\n") || strings.Contains(got, "Not shown") {
		t.Errorf("the report of an empty folder is %q", got)
	}
	for name, text := range map[string]string{
		"doctor.json": "{", "stages.tsv": "a\tb\n", "runs/full-mnist/summary.json": "[]", "runs/time-to-80/metrics.jsonl": "x\n",
	} {
		_, shown, found := strings.Cut(write(leave(t, map[string]string{name: text}), false), "## Not shown")
		if !found || !strings.Contains(shown, filepath.Base(name)) {
			t.Errorf("%s is %q: not shown is %q, want the file's name in it", name, text, shown)
		}
		if got := write(leave(t, map[string]string{name: text}), false); !strings.Contains(got, "| 1001 (990 to 1010) |") {
			t.Errorf("%s is %q: the rest isn't shown", name, text)
		}
	}
}

// A stage whose command has several lines hides no later stage.
func TestBrokenStage(t *testing.T) {
	got := write(leave(t, map[string]string{"stages.tsv": "start\tok\t9\t20\t\tbash -c '\n  logs=$1'\nmemory\tok\t6\t35\t\tbench.test\n"}), false)
	if !strings.Contains(got, "| memory | ok | 6 |") || !strings.Contains(got, "Not shown") {
		t.Errorf("the report is\n%s", got)
	}
}

func TestInTheMiddle(t *testing.T) {
	for _, c := range []struct{ samples, want []float64 }{
		{[]float64{0, 5, 9, 8, 3, 0}, []float64{8, 9}},
		{[]float64{0, 0}, nil},
		{[]float64{4, 5}, nil},
	} {
		got := inTheMiddle(c.samples)
		if len(got) != len(c.want) {
			t.Errorf("inTheMiddle(%v) = %v, want %v", c.samples, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("inTheMiddle(%v) = %v, want %v", c.samples, got, c.want)
			}
		}
	}
}
