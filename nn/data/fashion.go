package data

import (
	"context"
	"fmt"
)

func fashionKind(cat catalog) SetKind {
	return SetKind{
		Name: "fashion-mnist", Doc: "60,000 + 10,000 pieces of clothing, 28x28 gray",
		ImageShape: [3]int{28, 28, 1}, TrainImages: 60_000, Recipe: "mnist",
		Open: func(ctx context.Context, opt Options) (*Dataset, error) { return openFashion(ctx, opt, cat) },
	}
}

// fashionClasses are the classes of Fashion-MNIST: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a
// Novel Image Dataset for Benchmarking Machine Learning Algorithms", arXiv:1708.07747.
func fashionClasses() []string {
	return []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
		"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}
}

// openFashion reads Fashion-MNIST from opt.Dir if that is given. Otherwise it reads the files from the cache or the
// system's data folder, or downloads them to the cache.
func openFashion(ctx context.Context, opt Options, cat catalog) (*Dataset, error) {
	const name = "fashion-mnist"
	names := func([]int64) ([]string, []int64) { return fashionClasses(), counted(10) }
	if opt.Dir != "" {
		return openIDXDir(ctx, name, names, "", opt)
	}
	cache, err := opt.cacheFolder(name)
	if err != nil {
		return nil, err
	}
	isIn := func(dir string) bool { return hasFile(osTree(dir), ".", idxNames[0]+".gz") }
	dir := cache
	if !isIn(cache) && isIn(cat.systemFashion) {
		dir = cat.systemFashion // of a system package: Debian's dataset-fashion-mnist
	}
	for _, file := range cat.fashion {
		if dir != cache {
			break
		}
		if _, err := opt.fetch(ctx, cache, file); err != nil {
			return nil, fmt.Errorf("fashion-mnist: %w", err)
		}
	}
	// The files that were verified are read, not what else is in the cache.
	var files idxFiles
	for i, p := range []part{trainPart, testPart} {
		files.images[p], files.labels[p] = idxNames[2*i]+".gz", idxNames[2*i+1]+".gz"
	}
	return idxSets{"": &files}.open(ctx, name, dir, osTree(dir), "", names, opt)
}

// fashionFiles are the four files, in the order of idxNames, and their mirrors.
func fashionFiles() [4]remoteFile {
	var files [4]remoteFile
	sums := [4]struct {
		size   int64
		sha256 string
	}{
		{26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
		{29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
		{4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
		{5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
	}
	for i, sum := range sums {
		name := idxNames[i] + ".gz"
		files[i] = remoteFile{name: name, size: sum.size, sha256: sum.sha256, urls: []string{
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name,
			"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/" + name,
		}}
	}
	return files
}
