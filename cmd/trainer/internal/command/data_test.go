package command

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDataHelpIsAsWritten(t *testing.T) {
	got := trainer(t, "data", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	golden(t, "data.txt", got.stdout)
}

func TestDataOfAGoodFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, 20)
	got := trainer(t, "data", "pictures", "-recipe", "mnist", "-set", "data.size=8")
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	want := `pictures: 2 classes, 40 images, read as 8x8 pixels of 1 channel
sizes: smallest 8x8, median 8x8, largest 8x8
formats: 40 png
colours: 40 gray

    class   train   test
   bright      16      4
     dark      16      4
      all      32      8

nothing unusual was found
`
	if got.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
	}
}

func TestDataNamesWhatIsWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, 20)
	write(t, "pictures/dark/copy.png", read(t, "pictures/dark/aa.png"))
	for _, class := range []string{"dark", "bright"} {
		for _, name := range []string{"aa", "ab", "ac", "ad", "ae"} {
			from := filepath.Join("pictures", class, name+".png")
			to := filepath.Join("split", map[bool]string{true: "test", false: "train"}[name > "ac"], class)
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(to, name+".png"), read(t, from))
		}
	}
	write(t, "split/test/dark/leak.png", read(t, "split/train/dark/aa.png"))
	write(t, "split/train/bright/cut.png", "\x89PNG\r\n\x1a\n")
	got := trainer(t, "data", "split")
	if got.status != exitEnvironment || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{"SERIOUS", "train: train/dark/aa.png = test: test/dark/leak.png", "not read: 1", "cut.png", `class "bright" has 3 training images`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	got = trainer(t, "data", "-json", "split")
	var report struct {
		Findings []struct {
			Kind    string
			Serious bool
			Images  []struct{ Part, Class, Image string }
		}
		Skipped []string
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.status != exitEnvironment {
		t.Fatalf("%v: %+v", err, got)
	}
	if f := report.Findings[0]; f.Kind != "in-two-parts" || !f.Serious || len(f.Images) != 2 || f.Images[1].Class != "dark" || len(report.Skipped) != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestDataOfANamedSet(t *testing.T) {
	got := trainer(t, "data", "mnist", "-val", "0.1")
	if got.status != exitOK || !strings.Contains(got.stdout, "mnist: 10 classes, 70,000 images, read as 28x28 pixels of 1 channel") || !strings.Contains(got.stdout, "nothing unusual was found") {
		t.Errorf("%+v", got)
	}
}

func TestDataMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"data"}, "data takes one data set"},
		{[]string{"data", "a", "b"}, "data takes one data set"},
		{[]string{"data", "mnits"}, "did you mean mnist?"},
		{[]string{"data", "mnist", "-epochs", "3"}, "unknown flag -epochs"},
	} {
		if got := trainer(t, c.args...); got.status != exitUsage || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%v: no %q in %+v", c.args, c.want, got)
		}
	}
}

// A training and trainer data leave an index, whatever the folder: the second start gives the same.
func TestTrainingUsesAnIndex(t *testing.T) {
	workplace(t)
	write(t, "pictures/dark/cut.png", "\x89PNG\r\n\x1a\n")
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir("pictures", func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(p, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	var weights, skipped []string
	for _, out := range []string{"one", "two"} {
		if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1", "-out", out); got.status != exitOK {
			t.Fatalf("%+v", got)
		}
		weights = append(weights, read(t, filepath.Join(out, "model.safetensors")))
		skipped = append(skipped, read(t, filepath.Join(out, "skipped.txt")))
	}
	if weights[0] != weights[1] {
		t.Error("the second start has other weights")
	}
	if skipped[0] != skipped[1] || !strings.Contains(skipped[0], "cut.png") {
		t.Errorf("skipped %q", skipped)
	}
}
