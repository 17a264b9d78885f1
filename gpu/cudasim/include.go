package cudasim

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"testing/fstest"
)

// hostFolder holds the header with which kernels are compiled for the host.
const hostFolder = "internal/host"

// includeLine finds what a source includes. The preprocessor may skip some of it, which costs at most a compilation too many.
var includeLine = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<[^>\n]+>|(.*))`)

// included returns the files of a tree that a source includes, and those that they include. Files of the system are not among
// them. An include that a macro names might be any file, so that it includes all.
func included(source string, all fs.FS) (fs.FS, error) {
	files := fstest.MapFS{}
	for waiting := []string{source}; len(waiting) > 0; waiting = waiting[1:] {
		for _, match := range includeLine.FindAllStringSubmatch(waiting[0], -1) {
			if match[2] != "" {
				return all, nil
			}
			for _, folder := range []string{".", hostFolder} { // where the compiler looks
				name := path.Join(folder, match[1])
				if _, known := files[name]; known || match[1] == "" || !fs.ValidPath(name) {
					continue
				}
				text, err := fs.ReadFile(all, name)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return nil, err
				}
				files[name] = &fstest.MapFile{Data: text}
				waiting = append(waiting, string(text))
			}
		}
	}
	return files, nil
}
