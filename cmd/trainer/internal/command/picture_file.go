package command

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/printable"
)

// Where trainer draw writes. A picture is created in the folder that was named and nowhere else: links in a folder that
// came from somebody else lead nowhere. A file that exists is replaced only if -o named it, or if it is a picture in the
// folder of a run's figures.

// pictureFile is a file to draw to.
type pictureFile struct {
	folder, name string
	replace      bool // a file that is there
}

// pictureFileFor returns the file that -o names or, if it names none, a new one with the default name, which must not
// exist. It checks the ending.
func pictureFileFor(out, defaultName string) (pictureFile, error) {
	f := pictureFile{folder: filepath.Dir(out), name: filepath.Base(out), replace: true}
	if out == "" {
		f = pictureFile{folder: ".", name: defaultName}
	}
	if !slices.Contains(figure.Formats(), f.format()) {
		return f, usageErrorf("-o %s: want a name that ends in .%s", out, strings.Join(figure.Formats(), " or ."))
	}
	if _, err := os.Lstat(f.path()); err == nil && !f.replace {
		return f, f.exists()
	}
	return f, nil
}

func (f *pictureFile) path() string { return filepath.Join(f.folder, f.name) }

// format returns the name of the picture's format.
func (f *pictureFile) format() string { return strings.TrimPrefix(filepath.Ext(f.name), ".") }

func (f *pictureFile) exists() error {
	return usageErrorf("%s exists already: to replace it, pass -o %s", f.path(), f.path())
}

// writePicture draws to a file and prints its name.
func (p *program) writePicture(f pictureFile, draw func(io.Writer) error) error {
	root, err := os.OpenRoot(f.folder)
	if err != nil {
		return fmt.Errorf("writing a picture: %w", err)
	}
	defer root.Close()
	var b bytes.Buffer
	if err := draw(&b); err != nil {
		return err
	}
	err = createIn(root, f.name, f.replace, b.Bytes())
	if errors.Is(err, fs.ErrExist) && !f.replace {
		return f.exists()
	}
	if err != nil {
		return fmt.Errorf("writing a picture: %s: %w", f.path(), err)
	}
	_, err = fmt.Fprintln(p.stdout, printable.Text(f.path()))
	return err
}

// createIn creates a file in a folder. With replace it takes the place of whatever has the name, also of a link.
func createIn(root *os.Root, name string, replace bool, content []byte) (err error) {
	at := name
	if replace {
		at = "." + name + "." + rand.Text()[:8] + ".tmp"
	}
	file, err := root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil && replace {
		err = root.Rename(at, name)
	}
	if err != nil {
		err = errors.Join(err, root.Remove(at))
	}
	return err
}
