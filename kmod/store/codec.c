// SPDX-License-Identifier: GPL-2.0
/*
 * Compressors: the kernel's own LZ4, zstd and LZO, called directly.
 *
 * DOC: The crypto API has all three, behind a context, a buffer and sometimes a lock
 * of its own for each; a fault on a compressed page would pay for them.  Called
 * directly, LZ4 and LZO decompress with no memory but the stack.
 *
 * One user at a time compresses: the pool's reclaim thread, in a workspace that is the
 * codec's.  Anybody decompresses, on any CPU, with preemption disabled (an object of
 * zsmalloc is mapped so), hence without sleeping.  zstd needs memory for that, 94 KiB
 * on 6.12 and above 128 KiB on 6.1, in which nothing is kept from one page to the next.
 * So all pools share one workspace per CPU, made with the first zstd codec and freed
 * with the last.
 *
 * None of the formats has a checksum.  They notice most of what is not theirs and
 * never write outside of the page, but content that was changed may decompress to
 * another page.  What comes from a disk needs a check of its own.
 *
 * Lock: zstd_workspaces.lock, innermost: nothing is taken in it but by the allocator.
 */
#include <linux/cpumask.h>
#include <linux/lz4.h>
#include <linux/lzo.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/zstd.h>

#include "codec.h"

/* As zram and zswap have it: their users know how much it saves. */
#define ZSTD_LEVEL	3

/**
 * struct ballast_codec - the compressor of one pool
 * @ops: of its kind; does not change
 * @workspace: to compress with; whose contents only @ops know
 * @scratch: LZO only: where it compresses to; the room of a caller may not do
 * @zstd: zstd only: the context, inside @workspace
 * @zstd_parameters: zstd only: of all pages; do not change
 */
struct ballast_codec {
	const struct codec_ops *ops;
	void *workspace;
	void *scratch;
	zstd_cctx *zstd;
	zstd_parameters zstd_parameters;
};

/*
 * What a kind can do.  @prepare allocates what a zeroed codec has room for, and leaves
 * it to @ops->release, which also knows half a codec, if it fails.  @compress returns a
 * length or 0, @decompress how many bytes came of it: PAGE_SIZE, or it was an error.
 */
struct codec_ops {
	enum ballast_codec_kind kind;
	int (*prepare)(struct ballast_codec *codec);
	void (*release)(struct ballast_codec *codec);
	unsigned int (*compress)(struct ballast_codec *codec, const void *page,
				 void *to, unsigned int room);
	size_t (*decompress)(const void *from, unsigned int length, void *page);
};

/* ---- LZ4 */

static int prepare_lz4(struct ballast_codec *codec)
{
	codec->workspace = kvmalloc(LZ4_MEM_COMPRESS, GFP_KERNEL);
	return codec->workspace ? 0 : -ENOMEM;
}

static unsigned int compress_lz4(struct ballast_codec *codec, const void *page,
				 void *to, unsigned int room)
{
	int length = LZ4_compress_default(page, to, PAGE_SIZE, room, codec->workspace);

	return max(length, 0);
}

static size_t decompress_lz4(const void *from, unsigned int length, void *page)
{
	int bytes = LZ4_decompress_safe(from, page, length, PAGE_SIZE);

	return max(bytes, 0);
}

static void release_workspace(struct ballast_codec *codec)
{
	kvfree(codec->workspace);
	kvfree(codec->scratch);
}

/* ---- LZO */

static int prepare_lzo(struct ballast_codec *codec)
{
	codec->workspace = kvmalloc(LZO1X_1_MEM_COMPRESS, GFP_KERNEL);
	codec->scratch = kvmalloc(lzo1x_worst_compress(PAGE_SIZE), GFP_KERNEL);
	return codec->workspace && codec->scratch ? 0 : -ENOMEM;
}

/* It is told of no limit and makes a page that does not compress longer. */
static unsigned int compress_lzo(struct ballast_codec *codec, const void *page,
				 void *to, unsigned int room)
{
	size_t length;

	if (lzo1x_1_compress(page, PAGE_SIZE, codec->scratch, &length,
			     codec->workspace) != LZO_E_OK)
		return 0;
	if (length > room)
		return 0;
	memcpy(to, codec->scratch, length);
	return length;
}

static size_t decompress_lzo(const void *from, unsigned int length, void *page)
{
	size_t bytes = PAGE_SIZE;

	return lzo1x_decompress_safe(from, length, page, &bytes) == LZO_E_OK ? bytes : 0;
}

/* ---- zstd */

/**
 * struct zstd_workspaces - to decompress with, of all zstd codecs
 * @lock: for @users, and for making and freeing the rest
 * @users: codecs
 * @contexts: one per possible CPU, each the beginning of its memory; not NULL, nor any
 *	of them, while there are @users.  Used with preemption disabled.
 */
static struct zstd_workspaces {
	struct mutex lock;
	unsigned int users;
	zstd_dctx * __percpu *contexts;
} zstd_workspaces = { .lock = __MUTEX_INITIALIZER(zstd_workspaces.lock) };

static void free_zstd_contexts(zstd_dctx * __percpu *contexts)
{
	int cpu;

	if (!contexts)
		return;
	for_each_possible_cpu(cpu)
		kvfree(*per_cpu_ptr(contexts, cpu));
	free_percpu(contexts);
}

static zstd_dctx *alloc_zstd_context(int cpu)
{
	size_t bytes = zstd_dctx_workspace_bound();
	void *memory = kvmalloc_node(bytes, GFP_KERNEL, cpu_to_node(cpu));

	return memory ? zstd_init_dctx(memory, bytes) : NULL;
}

/* CPUs that are not there yet have one too: they may come while pages are stored. */
static zstd_dctx * __percpu *alloc_zstd_contexts(void)
{
	zstd_dctx * __percpu *contexts = alloc_percpu(zstd_dctx *);
	int cpu;

	if (!contexts)
		return NULL;
	for_each_possible_cpu(cpu) {
		zstd_dctx *context = alloc_zstd_context(cpu);

		if (!context) {
			free_zstd_contexts(contexts);
			return NULL;
		}
		*per_cpu_ptr(contexts, cpu) = context;
	}
	return contexts;
}

static int get_zstd_workspaces(void)
{
	struct zstd_workspaces *w = &zstd_workspaces;
	int err = 0;

	mutex_lock(&w->lock);
	if (!w->users)
		w->contexts = alloc_zstd_contexts();
	if (w->contexts)
		w->users++;
	else
		err = -ENOMEM;
	mutex_unlock(&w->lock);
	return err;
}

static void put_zstd_workspaces(void)
{
	struct zstd_workspaces *w = &zstd_workspaces;

	mutex_lock(&w->lock);
	if (!--w->users) {
		free_zstd_contexts(w->contexts);
		w->contexts = NULL;
	}
	mutex_unlock(&w->lock);
}

static int prepare_zstd(struct ballast_codec *codec)
{
	zstd_parameters parameters = zstd_get_params(ZSTD_LEVEL, PAGE_SIZE);
	size_t bytes = zstd_cctx_workspace_bound(&parameters.cParams);
	int err;

	codec->zstd_parameters = parameters;
	codec->workspace = kvmalloc(bytes, GFP_KERNEL);
	if (!codec->workspace)
		return -ENOMEM;
	err = get_zstd_workspaces();
	if (err)
		return err;
	codec->zstd = zstd_init_cctx(codec->workspace, bytes);
	if (WARN_ON_ONCE(!codec->zstd)) {
		put_zstd_workspaces();
		return -ENOMEM;
	}
	return 0;
}

/* The context says whether the codec is one of zstd_workspaces.users. */
static void release_zstd(struct ballast_codec *codec)
{
	if (codec->zstd)
		put_zstd_workspaces();
	release_workspace(codec);
}

static unsigned int compress_zstd(struct ballast_codec *codec, const void *page,
				  void *to, unsigned int room)
{
	size_t length = zstd_compress_cctx(codec->zstd, to, room, page, PAGE_SIZE,
					   &codec->zstd_parameters);

	return zstd_is_error(length) ? 0 : length;
}

static size_t decompress_zstd(const void *from, unsigned int length, void *page)
{
	zstd_dctx **context = get_cpu_ptr(zstd_workspaces.contexts);
	size_t bytes = zstd_decompress_dctx(*context, page, PAGE_SIZE, from, length);

	put_cpu_ptr(zstd_workspaces.contexts);
	return zstd_is_error(bytes) ? 0 : bytes;
}

/* ---- what all have in common */

static const struct codec_ops codec_ops[] = {
	[BALLAST_CODEC_LZ4] = {
		.kind = BALLAST_CODEC_LZ4,
		.prepare = prepare_lz4,
		.release = release_workspace,
		.compress = compress_lz4,
		.decompress = decompress_lz4,
	},
	[BALLAST_CODEC_ZSTD] = {
		.kind = BALLAST_CODEC_ZSTD,
		.prepare = prepare_zstd,
		.release = release_zstd,
		.compress = compress_zstd,
		.decompress = decompress_zstd,
	},
	[BALLAST_CODEC_LZO] = {
		.kind = BALLAST_CODEC_LZO,
		.prepare = prepare_lzo,
		.release = release_workspace,
		.compress = compress_lzo,
		.decompress = decompress_lzo,
	},
};

static_assert(ARRAY_SIZE(codec_ops) == BALLAST_CODEC_NR);

/**
 * ballast_codec_name() - what a user calls it
 * @kind: which
 *
 * Return: "lz4", "zstd", "lzo"; "off" for BALLAST_CODEC_NR.
 */
const char *ballast_codec_name(enum ballast_codec_kind kind)
{
	static const char * const names[BALLAST_CODEC_NR + 1] = {
		[BALLAST_CODEC_LZ4] = "lz4",
		[BALLAST_CODEC_ZSTD] = "zstd",
		[BALLAST_CODEC_LZO] = "lzo",
		[BALLAST_CODEC_NR] = "off",
	};

	return names[min(kind, BALLAST_CODEC_NR)];
}

/**
 * ballast_codec_kind() - what it is
 * @codec: which
 */
enum ballast_codec_kind ballast_codec_kind(const struct ballast_codec *codec)
{
	return codec->ops->kind;
}

/**
 * ballast_codec_create() - a compressor, with all memory that it will need
 * @kind: which
 *
 * Context: process; allocates.
 * Return: it, or an ERR_PTR: -ENOMEM; -EINVAL, there is no such kind.
 */
struct ballast_codec *ballast_codec_create(enum ballast_codec_kind kind)
{
	struct ballast_codec *codec;
	int err;

	if (kind >= BALLAST_CODEC_NR)
		return ERR_PTR(-EINVAL);
	codec = kzalloc(sizeof(*codec), GFP_KERNEL);
	if (!codec)
		return ERR_PTR(-ENOMEM);
	codec->ops = &codec_ops[kind];
	err = codec->ops->prepare(codec);
	if (err) {
		ballast_codec_destroy(codec);
		return ERR_PTR(err);
	}
	return codec;
}

/**
 * ballast_codec_destroy() - free it and its memory
 * @codec: nobody compresses or decompresses with it now or later
 *
 * Context: process.
 */
void ballast_codec_destroy(struct ballast_codec *codec)
{
	codec->ops->release(codec);
	kfree(codec);
}

/**
 * ballast_codec_compress() - make a page smaller
 * @codec: nobody else compresses with it now
 * @page: whole page; does not change meanwhile
 * @to: where to; is of no use if it did not fit
 * @room: bytes there
 *
 * Context: any; does not sleep.
 * Return: length in bytes, or 0 if it does not fit into @room.
 */
unsigned int ballast_codec_compress(struct ballast_codec *codec, const void *page,
				    void *to, unsigned int room)
{
	return codec->ops->compress(codec, page, to, room);
}

/**
 * ballast_codec_decompress() - make a page of it again
 * @codec: that compressed it; others may use it at the same time
 * @from: what was compressed
 * @length: of that, in bytes
 * @page: whole page; is of no use after an error
 *
 * Context: process, preemption may be disabled; does not sleep.
 * Return: 0, or -EIO if this is not what a page is compressed to.  Not every change is
 * noticed, see the head of this file.
 */
int ballast_codec_decompress(struct ballast_codec *codec, const void *from,
			     unsigned int length, void *page)
{
	return codec->ops->decompress(from, length, page) == PAGE_SIZE ? 0 : -EIO;
}

/**
 * ballast_page_same_filled() - is a page one word over and over?
 * @page: whole page
 * @value: set to that word if so
 *
 * The last word is looked at first: many pages begin with a run of zeroes, fewer begin
 * and end with the same.
 */
bool ballast_page_same_filled(const void *page, unsigned long *value)
{
	const unsigned long *word = page;
	unsigned int last = PAGE_SIZE / sizeof(*word) - 1, i;

	if (word[0] != word[last])
		return false;
	for (i = 1; i < last; i++)
		if (word[i] != word[0])
			return false;
	*value = word[0];
	return true;
}
