package cuda

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// places is where the search looks: environment, files and Python.
type places struct {
	getenv func(string) string
	files  fs.FS                 // the file system, rooted at /
	real   func(string) string   // a path without symbolic links; the path itself if that fails
	python func(string) []string // asks a Python interpreter for its folders of packages
	arch   string                // as in names of folders: "x86_64" or "aarch64"
}

// A search looks for one library, in one place after the other, until a file loads.
type search struct {
	places
	driver  bool     // the library is libcuda, which is in no toolkit and in no Python package
	sonames []string // the library's names, best first
	// load loads a file or, for a name without a slash, the library that the loader finds,
	// and returns the file that it came from.
	load func(file string) (from string, err error)

	tried []Attempt
	asked string          // the interpreter that was run
	found string          // the file that was loaded
	seen  map[string]bool // files already tried, without symbolic links
}

// run looks in every place. After a file has loaded, it loads no more, but still records
// the other files that it finds.
func (s *search) run() {
	s.seen = map[string]bool{}
	for _, dir := range filepath.SplitList(s.getenv(PathVariable)) {
		if dir != "" {
			s.userFolder(dir)
		}
	}
	s.loader()
	for _, dir := range s.usualFolders() {
		s.folder("usual folder", dir)
	}
	if s.driver {
		return
	}
	interpreters := s.interpreters()
	s.pythonFolders(s.sitePackages(interpreters))
	if s.found != "" {
		return
	}
	if s.asked = s.interpreter(interpreters); s.asked != "" {
		s.pythonFolders(s.python(s.asked))
	}
}

// userFolder looks in a folder of PathVariable, and in the subfolders in which a toolkit, a
// prefix or a folder of Python packages keeps its libraries.
func (s *search) userFolder(dir string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	info, err := s.stat(dir)
	if err != nil || !info.IsDir() {
		reason := "no such folder"
		if err == nil {
			reason = "not a folder"
		}
		s.note(Attempt{Place: PathVariable, File: dir, Reason: reason})
		return
	}
	inner := []string{dir, dir + "/lib64", dir + "/lib", dir + "/lib/" + s.arch + "-linux-gnu"}
	there := false
	for _, d := range append(inner, s.wheelFolders(dir)...) {
		there = s.tryNames(PathVariable, d) || there
	}
	if !there {
		s.note(Attempt{Place: PathVariable, File: dir, Reason: s.lacks()})
	}
}

// loader asks the loader, which searches LD_LIBRARY_PATH and its cache.
func (s *search) loader() {
	if s.found != "" {
		return
	}
	for _, name := range s.sonames {
		from, err := s.load(name)
		a := Attempt{Place: "loader", File: name}
		if err != nil {
			a.Reason = err.Error()
			// If the missing file is not the library itself, the loader has found the library.
			a.exists = !strings.HasPrefix(a.Reason, name+": cannot open")
			s.note(a)
			continue
		}
		s.found = from
		s.seen[s.real(from)] = true
		s.note(a)
		return
	}
}

// folder looks in a folder that may be missing.
func (s *search) folder(place, dir string) {
	if s.tryNames(place, dir) {
		return
	}
	if _, err := s.stat(dir); err != nil {
		s.note(Attempt{Place: place, File: dir, Reason: "no such folder"})
		return
	}
	s.note(Attempt{Place: place, File: dir, Reason: s.lacks()})
}

// tryNames tries the files of a folder that have one of the names, and reports whether there
// are any that no earlier place had.
func (s *search) tryNames(place, dir string) bool {
	there := false
	for _, name := range s.sonames {
		file := dir + "/" + name
		if _, err := s.stat(file); err != nil {
			continue
		}
		there = true
		if real := s.real(file); !s.seen[real] {
			s.seen[real] = true
			s.file(place, file)
		}
	}
	return there
}

// file tries one file that exists.
func (s *search) file(place, file string) {
	a := Attempt{Place: place, File: file, exists: true}
	if s.found != "" {
		a.Reason = "not used: found after " + s.found
		s.note(a)
		return
	}
	from, err := s.load(file)
	if err != nil {
		a.Reason = err.Error()
	} else {
		s.found = from
	}
	s.note(a)
}

// note records an attempt. Once the library has been found, places without it are not recorded.
func (s *search) note(a Attempt) {
	if s.found == "" || a.exists || a.Reason == "" {
		s.tried = append(s.tried, a)
	}
}

func (s *search) lacks() string { return "no " + strings.Join(s.sonames, " or ") + " there" }

// usualFolders returns the folders in which distributions and toolkits put the library.
func (s *search) usualFolders() []string {
	system := []string{"/usr/lib/" + s.arch + "-linux-gnu", "/usr/lib64", "/usr/lib"}
	if s.driver {
		// WSL; NixOS; some distributions' folder of the driver.
		return append([]string{"/usr/lib/wsl/lib", "/run/opengl-driver/lib", "/usr/lib64/nvidia"}, system...)
	}
	var dirs []string
	for _, variable := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if dir := s.getenv(variable); path.IsAbs(dir) {
			dirs = append(dirs, dir+"/lib64")
		}
	}
	dirs = append(dirs, "/usr/local/cuda/lib64")
	for _, dir := range s.children("/usr/local", "cuda-*") {
		dirs = append(dirs, dir+"/lib64")
	}
	return append(append(dirs, "/opt/cuda/lib64", "/usr/local/lib"), system...)
}

// wheelFolders returns the folders, within a folder of Python packages, in which NVIDIA's
// packages, and PyTorch's with its own copies, keep libraries.
func (s *search) wheelFolders(site string) []string {
	var dirs []string
	for _, dir := range s.children(site+"/nvidia", "*") {
		dirs = append(dirs, dir+"/lib")
	}
	return append(dirs, site+"/torch/lib")
}

func (s *search) pythonFolders(sites []string) {
	for _, site := range sites {
		there := false
		for _, dir := range s.wheelFolders(site) {
			there = s.tryNames("Python", dir) || there
		}
		if !there {
			s.note(Attempt{Place: "Python", File: site, Reason: s.lacks()})
		}
	}
}

func (p places) stat(file string) (fs.FileInfo, error) {
	name := strings.TrimPrefix(path.Clean(file), "/")
	if name == "" {
		name = "."
	}
	if !fs.ValidPath(name) {
		return nil, errors.New("not a path")
	}
	return fs.Stat(p.files, name)
}

// children returns the entries of a folder whose names match the pattern, highest version
// first.
func (p places) children(dir, pattern string) []string {
	entries, err := fs.ReadDir(p.files, strings.TrimPrefix(path.Clean(dir), "/"))
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		if ok, _ := path.Match(pattern, e.Name()); ok {
			found = append(found, dir+"/"+e.Name())
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return compareNumbers(b, a) })
	return found
}

// compareNumbers compares texts with runs of digits as numbers, so that 3.9 comes before 3.10.
func compareNumbers(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if x != y {
				return strings.Compare(x, y)
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// digits returns the number of digits at the beginning of the text.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
