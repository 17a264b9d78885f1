package cudasim

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// includeTree is a tree of sources: unit.cpp includes all of it but other.cuh.
func includeTree() fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range map[string]string{
		"a.cu":                      "#include \"near.cuh\"\n// #include \"other.cuh\"\n#include <cmath>\n",
		"near.cuh":                  "#ifdef X\n  #  include \"far.cuh\"\n#endif\n",
		"far.cuh":                   "#pragma once\n#include \"near.cuh\"\n", // a circle ends
		"other.cuh":                 "",
		"internal/host/cuda_host.h": "#include <cstdio>\n",
	} {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

const includeSource = "#include \"cuda_host.h\"\n#include \"a.cu\"\n"

func TestIncluded(t *testing.T) {
	for source, want := range map[string][]string{
		includeSource:                        {"a.cu", "far.cuh", "internal/host/cuda_host.h", "near.cuh"},
		"#include \"far.cuh\"":               {"far.cuh", "near.cuh"},
		"#include <far.cuh>\n":               nil,
		"#include \"../../far.cuh\"\n":       {"far.cuh", "near.cuh"}, // from internal/host
		"#include \"../../../far.cuh\"\n":    nil,                     // the compiler says so
		"#define F \"a.cu\"\n#include F\n":   slices.Sorted(maps.Keys(includeTree())),
		"int x; // #include \"other.cuh\"\n": nil,
	} {
		files, err := included(source, includeTree())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				got = append(got, name)
			}
			return err
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q includes %v (%v), want %v", source, got, err, want)
		}
	}
}

// A changed file changes the key of the units that include it, and of no others.
func TestUnitKey(t *testing.T) {
	b := &builder{compiler: "c++", version: "1"}
	key := func(tree fs.FS) string {
		files, err := included(includeSource, tree)
		if err != nil {
			t.Fatal(err)
		}
		return b.unitKey(unit{"trainer", "a", includeSource}, files)
	}
	before := key(includeTree())
	for name := range includeTree() {
		tree := includeTree()
		tree[name].Data = append(tree[name].Data, "int changed;\n"...)
		if changed, includes := key(tree) != before, !strings.HasPrefix(name, "other"); changed != includes {
			t.Errorf("a change of %s changes the key: %v, want %v", name, changed, includes)
		}
	}
	b.count = true
	if key(includeTree()) == before {
		t.Error("a build that counts has the key of one that doesn't")
	}
}
