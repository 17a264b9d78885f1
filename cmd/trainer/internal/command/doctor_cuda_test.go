//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/gpu/cudasim"
	"trainer/gpu/doctor"
)

// skipOnRealCUDA skips a test of missing libraries where the machine has its own.
func skipOnRealCUDA(t *testing.T, folder string) {
	t.Helper()
	got, _ := observed(t, folder, "", "doctor", "-json")
	var d doctor.Diagnosis
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, l := range append([]doctor.Library{d.Driver.Library}, d.Libraries...) {
		if l.File != "" && !strings.HasPrefix(l.File, folder) && !strings.Contains(l.File, "cudasim") {
			t.Skipf("this machine has %s: nothing is missing", l.File)
		}
	}
}

func TestDoctorOnTheEmulation(t *testing.T) {
	got := emulated(t, cudasim.Options{}, "driver=12040", "doctor")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`(?m)^driver +for CUDA 12\.4$`, `(?m)^cuBLAS +12\.`, `(?m)^cuDNN +9\.`, `(?m)^cuda:0 +software emulation$`,
		`(?m)^ +supports fp32, tf32, fp16, bf16; auto is the recipe's, else tf32$`,
		`convolution in fp32 \(cuDNN\): ok, error [\d.e-]+ \(limit 1e-04\)`, `convolution in fp16 \(cuDNN\): ok, error [\d.e-]+ \(limit 4e-03\)`, `matrix product \(cuBLAS\): ok, `, `softmax \(own kernel\): ok, `,
		`(?s)verdict   cuda:0 \(software emulation\) can be used\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	for _, line := range strings.Split(got.stdout, "\n") {
		if len(line) > doctorWidth && len(strings.Fields(line)) > 1 {
			t.Errorf("%d letters: %q", len(line), line)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	all := []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN9}
	for _, c := range []struct {
		name, settings string
		folder         func(*testing.T) string // nil for all libraries
		want           string                  // in the verdict
	}{
		{"no GPU", "devices=0", nil, "no GPU can be used: "},
		{"busy", "busy", nil, "another process has exclusive use of the GPU"},
		{"old driver", "driver=11080", nil, "update the NVIDIA driver"},
		{"old GPU", "cc=61", nil, "7.5 or newer is needed"},
		{"no cuDNN", "", without(all, cudasim.CuDNN9), "libcudnn.so.9 or libcudnn.so.8 not found"},
		{"cuDNN 7", "", oldCuDNN, "libcudnn.so.9 or libcudnn.so.8 not found"},
		{"no parts", "", withoutParts, "libcudnn.so.9: its part libcudnn_"},
		{"no cuBLAS", "", without(all, cudasim.CuBLAS12), "pip install nvidia-cublas-cu12"},
		{"no driver", "", without(all, cudasim.Driver), "install the NVIDIA driver"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := cudasim.Build(t, cudasim.Options{})
			if c.folder != nil {
				folder = c.folder(t)
				skipOnRealCUDA(t, folder)
			}
			got := emulatedIn(t, folder, c.settings, "doctor", "-json")
			var d doctor.Diagnosis
			if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
				t.Fatalf("%v: %+v", err, got)
			}
			if got.status != exitEnvironment || d.Usable || !strings.Contains(d.Verdict, c.want) || got.stderr != "" {
				t.Errorf("status %d, verdict %q, want in it %q; stderr %q", got.status, d.Verdict, c.want, got.stderr)
			}
		})
	}
}

// Of two versions the newer that the driver can serve is taken, and of two folders the first; the report names it and
// those that were passed over.
func TestDoctorSaysWhichOfTwoVersions(t *testing.T) {
	both := cudasim.Build(t, cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuBLAS13, cudasim.CuDNN8, cudasim.CuDNN9}})
	older := cudasim.Build(t, cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN8}})
	newer := cudasim.Build(t, cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN9}})
	for _, c := range []struct {
		folder, settings string
		want             []string // files of cuBLAS and cuDNN
		passed           string   // file of cuDNN
	}{
		{both, "driver=12080", []string{cudasim.CuBLAS12, cudasim.CuDNN9}, cudasim.CuDNN8},
		{both, "driver=13000", []string{cudasim.CuBLAS13, cudasim.CuDNN9}, cudasim.CuDNN8},
		{older + ":" + newer, "driver=12080", []string{cudasim.CuBLAS12, cudasim.CuDNN8}, cudasim.CuDNN9},
		{newer + ":" + older, "driver=12080", []string{cudasim.CuBLAS12, cudasim.CuDNN9}, cudasim.CuDNN8},
	} {
		got := emulatedIn(t, c.folder, c.settings, "doctor", "-json")
		var d doctor.Diagnosis
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || !d.Usable || got.status != exitOK {
			t.Fatalf("%v: %+v", err, got)
		}
		for i, l := range []doctor.Library{d.Libraries[0], d.Libraries[2]} {
			if filepath.Base(l.File) != c.want[i] {
				t.Errorf("%s: %s is %s, want %s", c.settings, l.Name, l.File, c.want[i])
			}
		}
		var passed []string
		for _, a := range d.Libraries[2].Tried {
			if strings.HasPrefix(a.Reason, "not used: found after ") {
				passed = append(passed, filepath.Base(a.File))
			}
		}
		if !slices.Contains(passed, c.passed) {
			t.Errorf("%s: of cuDNN %q were passed over, want %s among them", c.settings, passed, c.passed)
		}
	}
}

// A crash in libcuda, and a GPU that doesn't answer, are lines of the report.
func TestDoctorOutlivesLibraries(t *testing.T) {
	t.Run("crash", func(t *testing.T) {
		got := emulatedIn(t, crashingDriver(t), "", "doctor", "-json")
		var d doctor.Diagnosis
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || got.status != exitEnvironment || got.stderr != "" {
			t.Fatalf("%v: %+v", err, got)
		}
		want := "no GPU can be used: starting the driver crashed: SIGSEGV: segmentation violation; the versions of the driver and the libraries may be incompatible"
		if d.Verdict != want {
			t.Errorf("the verdict is %q, want %q", d.Verdict, want)
		}
	})
	t.Run("hang", func(t *testing.T) {
		for _, v := range append(cudasim.Environment(cudasim.Build(t, cudasim.Options{}), filepath.Join(t.TempDir(), "findings"), "delay=60000000"), "TRAINER_TEST_MAIN=1") {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, value)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		d, err := (&program{Config: config(), executable: self}).diagnose(t.Context(), 2*time.Second)
		if err != nil || d.Usable || len(d.GPUs) != 1 {
			t.Fatalf("%v, %+v", err, d)
		}
		if g := d.GPUs[0]; g.Name != "software emulation" || !strings.HasSuffix(g.Reason, " took longer than 2s") || g.Remedy == "" {
			t.Errorf("%+v", g)
		}
	})
}

// crashingDriver returns a folder with a libcuda that crashes when it is started.
func crashingDriver(t *testing.T) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler")
	}
	folder := t.TempDir()
	write(t, folder+"/driver.c", `
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuInit(unsigned flags) { return *(volatile int *)(unsigned long)flags; }
`)
	out, err := exec.Command(compiler, "-shared", "-fPIC", "-O0", "-o", folder+"/"+cudasim.Driver, folder+"/driver.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return folder
}
