//go:build !js

package data

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"trainer/nn/bounded"
)

const parquetMagic = "PAR1"

// parquetTable is a Parquet file with a column of encoded pictures and one of labels, as the Hugging Face hub writes
// them: the pictures are a structure {bytes, path}, and the metadata "huggingface" name the classes.
type parquetTable struct {
	path   string
	file   *os.File
	stamp  stamp
	table  *parquet.File
	image  int // index of the leaf column with the pictures' bytes
	label  int // index of the leaf column with the labels
	names  []string
	labels []string // of each row
	isText bool     // the labels are texts
}

// openParquet reads a data set from Parquet files in a folder. Their names say which part each is:
// train-00000-of-00002.parquet, validation-..., test-....
func openParquet(ctx context.Context, name, source string, dir osTree, files []string, opt Options) (*Dataset, error) {
	tables := make([]*parquetTable, len(files))
	for i, file := range files {
		var err error
		if tables[i], err = openParquetFile(ctx, dir.path(file), opt); err != nil {
			return nil, err
		}
		defer tables[i].file.Close()
	}
	t := newArchive(source)
	var packs []*archive
	for i, table := range tables {
		pack, err := table.unpack(ctx, opt)
		if err != nil {
			return nil, err
		}
		packs = append(packs, pack)
		for row := range table.labels {
			if err := t.add(rowName(files[i], row), len(t.index)); err != nil {
				return nil, err
			}
		}
	}
	t.finish()
	starts := make([]int, len(tables)+1)
	for i, table := range tables {
		starts[i+1] = starts[i] + len(table.labels)
	}
	tableOf := func(member int) int {
		k, _ := slices.BinarySearch(starts[1:], member+1)
		return k
	}
	t.content = func(member int) (io.ReadSeekCloser, error) {
		k := tableOf(member)
		return packs[k].open(strconv.Itoa(member - starts[k]))
	}
	t.stampOf = func(member int) stamp { return tables[tableOf(member)].stamp }
	f, err := newFolder(ctx, source, t, opt)
	if err != nil {
		return nil, err
	}
	p, err := f.listTables(files, tables)
	if err != nil {
		return nil, err
	}
	return f.dataset(ctx, name, p)
}

// rowName is the name of a row's picture in the tree of the tables.
func rowName(file string, row int) string { return fmt.Sprintf("%s/row %d", path.Base(file), row) }

// listTables makes the list of pictures of each part, by class and row.
func (f *folder) listTables(files []string, tables []*parquetTable) (*parts, error) {
	var found []string
	for _, t := range tables {
		if t.names != nil {
			found = t.names
			break
		}
		found = append(found, t.labels...)
	}
	if tables[0].names == nil {
		slices.SortFunc(found, compareNames)
		found = slices.Compact(found)
		found = slices.DeleteFunc(found, func(s string) bool { return s == "" })
	}
	var err error
	if f.classes, err = f.opt.orderClasses(f.root, found); err != nil {
		return nil, err
	}
	sorted := f.newSortedRows()
	for k, t := range tables {
		for row, class := range t.labels {
			if name := rowName(files[k], row); !sorted.add(name, class, roleOf(files[k]).part) {
				f.skipped = append(f.skipped, f.tree.show(name)+": it has no label")
			}
		}
	}
	p := sorted.parts()
	if len(p.train) == 0 {
		return nil, &FormatError{f.root, -1, "a file of training pictures, such as train-00000-of-00001.parquet", "none"}
	}
	return p, nil
}

// openParquetFile opens a file and reads the labels.
func openParquetFile(ctx context.Context, path string, opt Options) (t *parquetTable, err error) {
	defer recoverParquet(path, &err)
	file, err := bounded.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	t = &parquetTable{path: path, file: file, stamp: stampOf(info)}
	if err := checkParquetFooter(path, file, info.Size()); err != nil {
		return nil, err
	}
	if t.table, err = parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)); err != nil {
		return nil, &FormatError{path, -1, "a Parquet file", err.Error()}
	}
	if err := t.findColumns(opt); err != nil {
		return nil, err
	}
	metadata := t.table.Metadata()
	for _, group := range metadata.RowGroups {
		for _, column := range []int{t.image, t.label} {
			if column >= len(group.Columns) {
				return nil, &FormatError{path, -1, "all columns in every row group", fmt.Sprintf("%d columns", len(group.Columns))}
			}
			if err := checkParquetPages(path, file, info.Size(), group.NumRows, &group.Columns[column].MetaData); err != nil {
				return nil, err
			}
		}
	}
	err = t.eachValue(ctx, t.label, func(v parquet.Value) error {
		switch {
		case v.IsNull():
			t.labels = append(t.labels, "")
		case t.isText:
			t.labels = append(t.labels, string(v.ByteArray()))
		case v.Kind() == parquet.Int32:
			t.labels = append(t.labels, t.nameOf(int64(v.Int32())))
		default:
			t.labels = append(t.labels, t.nameOf(v.Int64()))
		}
		return nil
	})
	return t, err
}

// nameOf returns the class of a label that is a number.
func (t *parquetTable) nameOf(label int64) string {
	switch {
	case t.names == nil:
		return strconv.FormatInt(label, 10)
	case label < 0 || label >= int64(len(t.names)):
		return "" // the hub's mark of a missing label is -1
	}
	return t.names[label]
}

// recoverParquet turns a panic of the library at a malformed file into an error.
func recoverParquet(path string, err *error) {
	if r := recover(); r != nil {
		*err = &FormatError{path, -1, "a Parquet file", fmt.Sprintf("one that can't be decoded (%.100v)", r)}
	}
}

// findColumns chooses the columns: pictures are bytes in "image", "img" or the only column of bytes; labels are in
// Options.Labels, or in "label", "labels", "fine_label" or "class".
func (t *parquetTable) findColumns(opt Options) error {
	t.image, t.label = -1, -1
	columns := t.table.Schema().Columns()
	find := func(names ...string) int {
		for _, name := range names {
			for i, c := range columns {
				if strings.Join(c, ".") == name {
					return i
				}
			}
		}
		return -1
	}
	t.image = find("image.bytes", "img.bytes", "image", "img")
	labels := []string{"label", "labels", "fine_label", "class"}
	if opt.Labels != "" {
		labels = []string{opt.Labels, opt.Labels + "_label"}
	}
	t.label = find(labels...)
	if t.image < 0 || t.label < 0 {
		var have []string
		for _, c := range columns {
			have = append(have, strings.Join(c, "."))
		}
		return &FormatError{t.path, -1, fmt.Sprintf("a column image.bytes (or img.bytes) and a column %s (data.labels names another)", strings.Join(labels, ", ")), fmt.Sprintf("%.200q", have)}
	}
	kind := func(i int) (parquet.Kind, bool) {
		leaf, ok := t.table.Schema().Lookup(columns[i]...)
		return leaf.Node.Type().Kind(), ok && leaf.MaxRepetitionLevel == 0
	}
	imageKind, okImage := kind(t.image)
	labelKind, okLabel := kind(t.label)
	t.isText = labelKind == parquet.ByteArray
	if !okImage || imageKind != parquet.ByteArray || !okLabel || !t.isText && labelKind != parquet.Int64 && labelKind != parquet.Int32 {
		return &FormatError{t.path, -1, "pictures as bytes, and labels as whole numbers or texts", fmt.Sprintf("%v and %v", imageKind, labelKind)}
	}
	t.names = t.classNames(columns[t.label][0])
	return nil
}

// classNames returns the names of a label's classes in the hub's metadata, or nil.
func (t *parquetTable) classNames(column string) []string {
	text, ok := t.table.Lookup("huggingface")
	if !ok || t.isText {
		return nil
	}
	var hub struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(text), &hub) != nil {
		return nil
	}
	var label struct {
		Names []string `json:"names"`
	}
	if json.Unmarshal(hub.Info.Features[column], &label) != nil || len(label.Names) == 0 {
		return nil
	}
	return label.Names
}

// eachValue calls each for the value of a column in every row.
func (t *parquetTable) eachValue(ctx context.Context, column int, each func(v parquet.Value) error) error {
	values := make([]parquet.Value, 64)
	for _, group := range t.table.RowGroups() {
		pages := group.ColumnChunks()[column].Pages()
		for {
			page, err := pages.ReadPage()
			if err == io.EOF {
				break
			}
			if err == nil {
				err = eachOfPage(ctx, page, values, each)
				parquet.Release(page)
			}
			if err != nil {
				pages.Close()
				if ctx.Err() != nil || isPathError(err) {
					return err
				}
				return &FormatError{t.path, -1, "pages of values", err.Error()}
			}
		}
		if err := pages.Close(); err != nil {
			return err
		}
	}
	return nil
}

// eachOfPage calls each for the values of a page.
func eachOfPage(ctx context.Context, page parquet.Page, values []parquet.Value, each func(v parquet.Value) error) error {
	reader := page.Values()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := reader.ReadValues(values)
		for _, v := range values[:n] {
			if err := each(v); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unpack writes the pictures to a tar archive in the cache, one member per row, because the pictures of a column can only
// be read one after the other.
func (t *parquetTable) unpack(ctx context.Context, opt Options) (*archive, error) {
	packed, err := opt.unpacked(t.path, "tar", func(w io.Writer) (err error) {
		defer recoverParquet(t.path, &err)
		left := diskLimit(t.table.Size())
		out := tar.NewWriter(w)
		row := 0
		err = t.eachValue(ctx, t.image, func(v parquet.Value) error {
			content := v.ByteArray()
			if left -= int64(len(content)) + 1024; left < 0 {
				return fmt.Errorf("more than %d bytes of pictures", diskLimit(t.table.Size()))
			}
			if err := out.WriteHeader(&tar.Header{Name: strconv.Itoa(row), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
				return err
			}
			row++
			_, err := out.Write(content)
			return err
		})
		if err != nil {
			return err
		}
		if row != len(t.labels) {
			return &FormatError{t.path, -1, fmt.Sprintf("%d pictures, one per label", len(t.labels)), fmt.Sprint(row)}
		}
		return out.Close()
	})
	if err != nil {
		return nil, err
	}
	file, err := openRegular(packed)
	if err != nil {
		return nil, err
	}
	return indexTar(packed, file)
}
