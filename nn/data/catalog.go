package data

// remoteFile is a file that can be downloaded.
type remoteFile struct {
	name   string
	size   int64
	sha256 string
	urls   []string // mirrors, in the order in which they are tried
}

// catalog is where data sets come from.
type catalog struct {
	cifar10       remoteFile
	fashion       [4]remoteFile // in the order of idxNames
	systemFashion string        // folder of Debian's package dataset-fashion-mnist
}

// newCatalog returns the official files and their mirrors.
func newCatalog() catalog {
	cat := catalog{
		cifar10: remoteFile{
			name:   cifarArchive,
			size:   170052171,
			sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
			urls: []string{
				"https://www.cs.toronto.edu/~kriz/" + cifarArchive,
				"https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/" + cifarArchive,
			},
		},
		systemFashion: "/usr/share/datasets/fashion-mnist",
	}
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
		cat.fashion[i] = remoteFile{name: name, size: sum.size, sha256: sum.sha256, urls: []string{
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name,
			"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/" + name,
		}}
	}
	return cat
}
