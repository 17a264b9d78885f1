package cuda

import (
	"path"
	"path/filepath"
	"slices"
)

// interpreters returns the Python interpreters on the PATH.
func (p places) interpreters() []string {
	var found []string
	for _, dir := range filepath.SplitList(p.getenv("PATH")) {
		for _, name := range []string{"python3", "python"} {
			file := dir + "/" + name
			if info, err := p.stat(file); path.IsAbs(dir) && err == nil && !info.IsDir() {
				found = append(found, file)
			}
		}
	}
	return found
}

// interpreter returns the interpreter to ask: the one that PythonVariable names, or the first on the PATH; "" for none.
func (p places) interpreter(found []string) string {
	switch wanted := p.getenv(PythonVariable); {
	case wanted == NoPython:
		return ""
	case wanted != "":
		return wanted
	case len(found) > 0:
		return found[0]
	}
	return ""
}

// sitePackages returns the folders of packages of the active environment, of the given
// interpreters and of the user, without running Python. askPython finds the folders that
// don't follow from an interpreter's location, such as those behind pyenv's shims.
func (p places) sitePackages(interpreters []string) []string {
	prefixes := []string{p.getenv("VIRTUAL_ENV"), p.getenv("CONDA_PREFIX")}
	for _, file := range interpreters {
		// The interpreter of an environment is a link to the interpreter that created it.
		prefixes = append(prefixes, path.Dir(path.Dir(file)), path.Dir(path.Dir(p.real(file))))
	}
	if home := p.getenv("HOME"); home != "" {
		prefixes = append(prefixes, home+"/.local")
	}
	var sites []string
	for _, prefix := range prefixes {
		if !path.IsAbs(prefix) {
			continue
		}
		for _, lib := range []string{"lib", "lib64", "local/lib"} {
			for _, version := range p.children(path.Join(prefix, lib), "python3*") {
				sites = p.addFolder(sites, version+"/site-packages")
				sites = p.addFolder(sites, version+"/dist-packages")
			}
		}
	}
	return sites
}

// addFolder appends a folder if it exists and isn't in the list yet.
func (p places) addFolder(dirs []string, dir string) []string {
	dir = p.real(dir)
	if info, err := p.stat(dir); err != nil || !info.IsDir() || slices.Contains(dirs, dir) {
		return dirs
	}
	return append(dirs, dir)
}
