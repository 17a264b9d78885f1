package data

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table writes pictures 0 to n-1 to dir/folder/NUMBER.png and returns one line per picture.
func table(t *testing.T, dir, folder string, n int, line func(i int) string) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		writeImage(t, filepath.Join(dir, folder, fmt.Sprintf("%d.png", i)), photo(i))
		b.WriteString(line(i) + "\n")
	}
	return b.String()
}

func TestTables(t *testing.T) {
	label := func(i int) string { return []string{"10", "9", "x y"}[i%3] }
	for name, c := range map[string]struct {
		folder, file, head string
		line               func(i int) string
		opt                Options
		train, test        int
		classes            []string
	}{
		"header":                  {"pics", "a.csv", "filename,label", func(i int) string { return fmt.Sprintf("pics/%d.png,%s", i, label(i)) }, Options{}, 9, 3, []string{"9", "10", "x y"}},
		"quotes and byte order":   {"pics", "a.csv", "\ufeff\"Label\",\"Path\"", func(i int) string { return fmt.Sprintf(`"%s","pics/%d.png"`, label(i), i) }, Options{}, 9, 3, []string{"9", "10", "x y"}},
		"tabs":                    {"pics", "a.tsv", "image\tclass", func(i int) string { return fmt.Sprintf("pics/%d.png\t%s", i, label(i)) }, Options{}, 9, 3, []string{"9", "10", "x y"}},
		"ids of a competition":    {"train", "train.csv", "id,breed", func(i int) string { return fmt.Sprintf("%d,%s", i, label(i)) }, Options{}, 9, 3, []string{"9", "10", "x y"}},
		"the folder of the table": {"images", "list.csv", "", func(i int) string { return fmt.Sprintf("%d.png,%s", i, label(i)) }, Options{}, 9, 3, []string{"9", "10", "x y"}},
		"a column of parts": {"pics", "a.csv", "", func(i int) string {
			return fmt.Sprintf("pics/%d.png,%s,%s", i, label(i), []string{"train", "TEST"}[i/6])
		}, Options{}, 6, 6, []string{"9", "10", "x y"}},
		"another column of labels": {"pics", "a.csv", "id,label,kind", func(i int) string { return fmt.Sprintf("pics/%d.png,%s,%d", i, label(i), i%2) }, Options{Labels: "kind"}, 10, 2, []string{"0", "1"}},
		"order of classes":         {"pics", "a.csv", "id,label", func(i int) string { return fmt.Sprintf("pics/%d.png,%s", i, label(i)) }, Options{Classes: []string{"x y", "9", "10"}}, 9, 3, []string{"x y", "9", "10"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := table(t, dir, c.folder, 12, c.line)
			if c.head != "" {
				text = c.head + "\r\n" + text
			}
			writeFile(t, filepath.Join(dir, c.file), []byte(text))
			set := openFolderT(t, filepath.Join(dir, c.file), c.opt)
			if set.Train.Len() != c.train || set.Test.Len() != c.test || !slices.Equal(set.Train.Classes(), c.classes) {
				t.Errorf("%d and %d pictures of %q", set.Train.Len(), set.Test.Len(), set.Train.Classes())
			}
		})
	}
}

// A competition gives out tables with and without labels, and an example of what to hand in.
func TestTablesOfACompetition(t *testing.T) {
	dir := t.TempDir()
	train := table(t, dir, "train", 10, func(i int) string { return fmt.Sprintf("%d.png,%d", i, i%2) })
	test := table(t, dir, "test", 4, func(i int) string { return fmt.Sprintf("%d.png", i) })
	writeFile(t, filepath.Join(dir, "train.csv"), []byte("id,label\n"+train))
	writeFile(t, filepath.Join(dir, "test.csv"), []byte("id\n"+test))
	writeFile(t, filepath.Join(dir, "sample_submission.csv"), []byte("id,label\n0.png,0\n"))
	set := openFolderT(t, dir, Options{})
	if set.Train.Len() != 8 || set.Test.Len() != 2 || len(set.Pictures.Unlabelled) != 4 {
		t.Errorf("%d and %d pictures, without label %q", set.Train.Len(), set.Test.Len(), set.Pictures.Unlabelled)
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"a path out":          {"id,label\n../secret.png,a\n", "paths in the table's folder"},
		"another path out":    {"id,label\n0.png,a\npics/../../x.png,a\n", "in line 3"},
		"an absolute path":    {"id,label\n/etc/passwd,a\n", "paths in the table's folder"},
		"no such pictures":    {"id,label\nno.png,a\n", `"no.png", which is not there`},
		"no column of paths":  {"a,label,b\n1,2,3\n", "a column of paths"},
		"no labels":           {"id\n0.png\n", "a column of labels"},
		"rows of two lengths": {"id,label\n0.png,a\n1.png\n", "line 3"},
		"two labels":          {"id,label\n0.png,a\n0.png,b\n", "one label per picture"},
		"an unknown part":     {"id,label,split\n0.png,a,extra\n", `"extra" in line 2`},
		"a class of test":     {"id,label,split\n0.png,a,train\n1.png,b,train\n2.png,c,test\n", "a class of the training set"},
		"empty":               {"", "an empty file"},
		"only a header":       {"id,label\n", "at least one row"},
		"an open quote":       {"id,label\n\"0.png,a\n", "line"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			table(t, dir, ".", 3, func(int) string { return "" })
			file := filepath.Join(dir, "a.csv")
			writeFile(t, file, []byte(c.text))
			_, err := Open(context.Background(), file, Options{})
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// Pictures that a table names and that are missing are skipped by name.
func TestTablesSkipMissingPictures(t *testing.T) {
	dir := t.TempDir()
	text := table(t, dir, "p", 10, func(i int) string { return fmt.Sprintf("p/%d.png,%d", i, i%2) })
	writeFile(t, filepath.Join(dir, "a.csv"), []byte(text+"p/gone.png,1\n"))
	set := openFolderT(t, filepath.Join(dir, "a.csv"), Options{})
	if set.Train.Len()+set.Test.Len() != 10 || len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0], path.Join("p", "gone.png")) {
		t.Errorf("%d + %d pictures, skipped %q", set.Train.Len(), set.Test.Len(), set.Skipped)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("id,label\n0.png,a\n"))
	f.Add([]byte("\"0.png\";\"b\";\"test\"\n"))
	f.Add([]byte("../0.png\tb"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		writeFile(t, filepath.Join(dir, "a.csv"), raw)
		l, err := readListing(context.Background(), osTree(dir), "a.csv", Options{})
		if err == nil {
			err = l.resolve(osTree(dir), dir, "a.csv")
		}
		onlyFormatErrors(t, err)
	})
}
