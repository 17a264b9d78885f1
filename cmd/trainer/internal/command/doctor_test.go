package command

import (
	"encoding/json"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/gpu/doctor"
)

// diagnoses are what trainer doctor may have to print.
func diagnoses() map[string]doctor.Diagnosis {
	library := func(name, version, file string) doctor.Library {
		return doctor.Library{Name: name, Version: version, File: file, Tried: []doctor.Attempt{{Place: "loader", File: name + ".so"}}}
	}
	driver := doctor.Driver{Library: library("driver", "570.86.15", "/usr/lib/x86_64-linux-gnu/libcuda.so.570.86.15")}
	driver.CUDA = "12.8"
	dnn := library("cuDNN", "9.1.0", "/home/somebody/"+strings.Repeat("long/", 20)+"nvidia/cudnn/lib/libcudnn.so.9")
	dnn.CUDA = "12.1"
	libraries := []doctor.Library{library("cuBLAS", "12.1.3", "/usr/lib/libcublas.so.12"), library("cuBLASLt", "12.1.3", "/usr/lib/libcublasLt.so.12"), dnn}
	tests := []doctor.Selftest{
		{Name: "convolution in fp32 (cuDNN)", Error: 1.2e-6, Bound: 1e-4, OK: true},
		{Name: "convolution in fp16 (cuDNN)", Error: 3.1e-4, Bound: 4e-3, OK: true},
		{Name: "matrix product (cuBLAS)", Error: 3e-7, Bound: 1e-4, OK: true},
		{Name: "softmax (own kernel)", Error: 0, Bound: 1e-4, OK: true},
	}
	wrong := append(tests[:3:3], doctor.Selftest{Name: "softmax (own kernel)", Error: 0.5, Bound: 1e-4})
	missing := doctor.Library{Name: "driver", Reason: "libcuda.so.1 not found: the NVIDIA driver isn't installed, or not visible here", Tried: []doctor.Attempt{
		{Place: "TRAINER_CUDA_PATH", File: "/opt/nothing", Reason: "no such folder"},
		{Place: "usual folder", File: "/usr/lib/wsl/lib/libcuda.so.1", Reason: "/usr/lib/wsl/lib/libcuda.so.1: file too short"},
		{Place: "loader", File: "libcuda.so.1", Reason: "cannot open shared object file: No such file or directory"},
	}}
	return map[string]doctor.Diagnosis{
		"not built": {Verdict: "this build has no CUDA device: run `make` with a C compiler installed to build a program that has it, or use -device cpu"},
		"no driver": {
			Built: true, Driver: doctor.Driver{Library: missing, Remedy: "install the NVIDIA driver"},
			Libraries: []doctor.Library{{Name: "cuBLAS", Reason: "not found"}, {Name: "cuBLASLt", Reason: "not loaded: cuBLAS, which it comes with, loads it"}, {Name: "cuDNN", Reason: "not found"}},
			Verdict:   "no GPU can be used: libcuda.so.1 not found; install the NVIDIA driver",
		},
		"two GPUs": {
			Built: true, Usable: true, Driver: driver, Libraries: libraries,
			GPUs: []doctor.GPU{
				{Name: "NVIDIA H100 80GB HBM3", Memory: 85_520_809_984, Free: 84_000_000_000, ComputeCapability: "9.0", Precisions: []string{"fp32", "tf32", "fp16", "bf16"}, Auto: "tf32", Usable: true, Tests: tests, Seconds: 0.42},
				{Index: 1, Name: "NVIDIA GeForce GTX 1080", Memory: 8 << 30, ComputeCapability: "6.1", Reason: "the NVIDIA GeForce GTX 1080 has compute capability 6.1, 7.5 or newer is needed"},
			},
			Verdict: "cuda:0 (NVIDIA H100 80GB HBM3) can be used",
		},
		"wrong results": {
			Built: true, Driver: driver, Libraries: libraries,
			GPUs: []doctor.GPU{
				{Name: "NVIDIA L4", Memory: 24 << 30, Free: 1 << 30, ComputeCapability: "8.9", Tests: wrong, Reason: "the self-test found a wrong result", Remedy: "try another"},
				{Index: 1, Reason: "opening it took longer than 1m0s"},
			},
			Verdict: "no GPU can be used: cuda:0: the self-test found a wrong result; try another",
		},
	}
}

func TestDoctorText(t *testing.T) {
	for name, d := range diagnoses() {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			if err := writeDiagnosis(&text, d, false); err != nil {
				t.Fatal(err)
			}
			golden(t, "doctor-"+strings.ReplaceAll(name, " ", "-")+".txt", text.String())
			for _, line := range strings.Split(text.String(), "\n") {
				words := len(strings.Fields(line))
				if len(line) > doctorWidth && words > 1 || strings.TrimRight(line, " ") != line {
					t.Errorf("%d letters: %q", len(line), line)
				}
			}
		})
	}
}

func TestDoctorJSON(t *testing.T) {
	for name, d := range diagnoses() {
		var text strings.Builder
		if err := writeDiagnosis(&text, d, true); err != nil {
			t.Fatal(err)
		}
		var back doctor.Diagnosis
		if err := json.Unmarshal([]byte(text.String()), &back); err != nil || strings.Count(text.String(), "\n") != 1 {
			t.Errorf("%s: %v in %q", name, err, text.String())
		}
		if back.Verdict != d.Verdict || back.Usable != d.Usable || len(back.GPUs) != len(d.GPUs) || back.Driver.File != d.Driver.File {
			t.Errorf("%s came back as %+v", name, back)
		}
	}
}

func TestDoctorKeepsFileNamesWhole(t *testing.T) {
	var s textSheet
	name := "/usr/" + strings.Repeat("x", doctorWidth) + "/libcudnn.so.9"
	s.entry("cuDNN", "9.1 "+name)
	if got, want := s.String(), "cuDNN     9.1\n          "+name+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDoctorBadInput(t *testing.T) {
	for _, args := range [][]string{{"doctor", "cuda:0"}, {"doctor", "-jsn"}} {
		got := trainer(t, args...)
		if got.status != exitUsage || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	got := trainer(t, "doctor", "-h")
	if got.status != exitOK || !strings.Contains(got.stdout, "Exit status: 0 a GPU can be used") {
		t.Errorf("doctor -h: %+v", got)
	}
}

func TestDoctorWithoutCUDA(t *testing.T) {
	if gpu.Built {
		t.Skip("this build has the CUDA device")
	}
	got := trainer(t, "doctor")
	if got.status != exitEnvironment || got.stderr != "" || !strings.Contains(got.stdout, "\nverdict   this build has no CUDA device: ") {
		t.Errorf("%+v", got)
	}
	got = trainer(t, "doctor", "-json")
	var d doctor.Diagnosis
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || got.status != exitEnvironment || d.Built || d.Usable {
		t.Errorf("%v, %+v", err, got)
	}
}
