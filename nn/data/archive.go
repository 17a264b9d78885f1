package data

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/bounded"
)

// archive is a tree of the members of an archive file. Links, devices and other special members are left out: a picture
// is a regular member.
type archive struct {
	file    string // path of the archive
	index   map[string]int
	folders map[string][]entry
	content func(member int) (io.ReadSeekCloser, error) // opens a regular member

	// stampOf returns the stamp of the file that a member is in: it tells whether the member may have changed.
	stampOf func(member int) stamp
	sumOf   func(member int) (size int64, sum string) // size and checksum of a member; nil if the archive has no checksums
}

const (
	maxArchiveDepth = 32   // folders in folders
	maxMemberName   = 4096 // bytes
)

func newArchive(file string) *archive {
	return &archive{file: file, index: map[string]int{}, folders: map[string][]entry{".": nil}}
}

// add adds a regular member. A name that leads out of the archive is an error: no program that packs a data set writes
// one. Of two members of one name, the later counts, as for a program that unpacks the archive.
func (a *archive) add(name string, member int) error {
	clean, err := a.memberName(name)
	if err != nil {
		return err
	}
	if _, isKnown := a.index[clean]; !isKnown {
		dir := path.Dir(clean)
		a.addFolder(dir)
		a.folders[dir] = append(a.folders[dir], entry{name: path.Base(clean)})
	}
	a.index[clean] = member
	return nil
}

// addFolder adds a folder and those that it is in.
func (a *archive) addFolder(dir string) {
	if _, isKnown := a.folders[dir]; isKnown {
		return
	}
	a.folders[dir] = nil
	parent := path.Dir(dir)
	a.addFolder(parent)
	a.folders[parent] = append(a.folders[parent], entry{path.Base(dir), true})
}

// memberName returns the name as a clean path.
func (a *archive) memberName(name string) (string, error) {
	parts := strings.Split(name, "/")
	if bounded.CheckName(name) != nil || len(name) >= 2 && name[1] == ':' {
		return "", &FormatError{a.file, -1, "names of members that stay inside the archive", fmt.Sprintf("%.80q", name)}
	}
	if len(name) > maxMemberName || len(parts) > maxArchiveDepth {
		return "", &FormatError{a.file, -1, fmt.Sprintf("names of at most %d bytes and %d folders", maxMemberName, maxArchiveDepth), fmt.Sprintf("%.80q...", name)}
	}
	clean := path.Clean(name)
	if clean == "." {
		return "", &FormatError{a.file, -1, "members with names", fmt.Sprintf("%q", name)}
	}
	return clean, nil
}

// finish sorts the folders. A name that is both a file and a folder is a folder.
func (a *archive) finish() {
	for dir, entries := range a.folders {
		slices.SortFunc(entries, func(x, y entry) int {
			return cmp.Or(cmp.Compare(x.name, y.name), -compareBools(x.isFolder, y.isFolder))
		})
		a.folders[dir] = slices.CompactFunc(entries, func(x, y entry) bool { return x.name == y.name })
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (a *archive) show(name string) string {
	if name == "." {
		return quoted(a.file)
	}
	return quoted(a.file + ":" + name)
}

func (a *archive) real(dir string) (string, error) { return path.Clean(dir), nil }

func (a *archive) list(dir string) ([]entry, error) {
	entries, ok := a.folders[path.Clean(dir)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", a.show(dir), fs.ErrNotExist)
	}
	return entries, nil
}

func (a *archive) open(name string) (io.ReadSeekCloser, error) {
	member, ok := a.index[path.Clean(name)]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return a.content(member)
}

// place returns the absolute path of the archive, without links.
func (a *archive) place() (string, error) {
	if a.stampOf == nil {
		return "", fs.ErrInvalid
	}
	real, err := filepath.EvalSymlinks(a.file)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// stamp returns the stamp of the file that a member is in.
func (a *archive) stamp(name string) (stamp, bool) {
	member, ok := a.index[path.Clean(name)]
	if !ok || a.stampOf == nil {
		return stamp{}, false
	}
	return a.stampOf(member), true
}

// checksum returns the size and the checksum of a member, if the archive says what they are.
func (a *archive) checksum(name string) (size int64, sum string, ok bool) {
	member, ok := a.index[path.Clean(name)]
	if !ok || a.sumOf == nil {
		return 0, "", false
	}
	size, sum = a.sumOf(member)
	return size, sum, true
}

// top returns the folder in which the data begin: most archives have a single folder, which holds everything.
func (a *archive) top() string {
	dir := "."
	for {
		var only string
		for _, e := range a.folders[dir] {
			switch {
			case isIgnored(e.name):
			case !e.isFolder || only != "":
				return dir
			default:
				only = e.name
			}
		}
		isPart := slices.Contains(trainNames, strings.ToLower(only))
		below := path.Join(dir, only)
		if only == "" || isPart || !a.hasFolders(below) {
			return dir
		}
		dir = below
	}
}

// hasFolders reports whether a folder has subfolders.
func (a *archive) hasFolders(dir string) bool {
	return slices.ContainsFunc(a.folders[dir], func(e entry) bool { return e.isFolder && !isIgnored(e.name) })
}
