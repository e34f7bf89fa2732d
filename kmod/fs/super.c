// SPDX-License-Identifier: GPL-2.0
/*
 * ballastfs: mount, remount, unmount.
 *
 * DOC: A mount is a pool and a trust domain.  The pool is made with the
 * superblock and published when that is complete; it is withdrawn, and all its
 * frames given back, when the superblock is killed.  The module's reference
 * count is the filesystem type's: it cannot be unloaded under a mount.
 */
#include <linux/ctype.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "../memory/promise.h"
#include "../reclaim/reclaim.h"
#include "../sharing/sharing.h"
#include "../store/store.h"
#include "ballastfs.h"

enum option {
	OPT_SIZE, OPT_SHARING, OPT_NAME, OPT_UID, OPT_GID, OPT_MODE, OPT_COMPRESS,
	OPT_SWAP, OPT_SWAPSIZE,
};

static const struct constant_table compressors[] = {
	{ "lz4", BALLAST_CODEC_LZ4 },
	{ "zstd", BALLAST_CODEC_ZSTD },
	{ "lzo", BALLAST_CODEC_LZO },
	{ "off", BALLAST_CODEC_NR },
	{}
};

static const struct constant_table sharing_modes[] = {
	{ "off", BALLAST_SHARING_OFF },
	{ "vm", BALLAST_SHARING_VM },
	{ "pool", BALLAST_SHARING_POOL },
	{}
};

static const struct fs_parameter_spec parameters[] = {
	fsparam_string("size", OPT_SIZE),
	fsparam_enum("sharing", OPT_SHARING, sharing_modes),
	fsparam_string("name", OPT_NAME),
	fsparam_u32("uid", OPT_UID),
	fsparam_u32("gid", OPT_GID),
	fsparam_u32oct("mode", OPT_MODE),
	fsparam_enum("compress", OPT_COMPRESS, compressors),
	fsparam_string("swap", OPT_SWAP),
	fsparam_string("swapsize", OPT_SWAPSIZE),
	{}
};

/**
 * struct mount_options - what a mount or remount asks for
 * @given: bits of enum option
 * @limit_pages: size=
 * @percent: size= as a percentage of RAM, or 0
 * @sharing: enum ballast_sharing_mode
 * @name: name=, or empty
 * @uid: uid=
 * @gid: gid=
 * @mode: mode=
 * @codec: compress=
 * @swap: swap=, allocated, or NULL
 * @swap_bytes: swapsize=, or 0
 */
struct mount_options {
	unsigned int given;
	unsigned long limit_pages;
	unsigned int percent;
	int sharing;
	char name[BALLAST_POOL_NAME_MAX + 1];
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	int codec;
	char *swap;
	u64 swap_bytes;
};

static unsigned long percent_of_ram(unsigned int percent)
{
	return mul_u64_u32_div(totalram_pages(), percent, 100);
}

/* The power of two that a unit stands for; -1 if it is none. */
static int unit_shift(const char *unit)
{
	static const char units[] = "kmgt";
	const char *found;

	if (!*unit)
		return 0;
	found = strchr(units, tolower(*unit));
	return found && !unit[1] ? (found - units + 1) * 10 : -1;
}

/* "64G", "512m" */
static int parse_bytes(struct fs_context *fc, const char *option, const char *text,
		       u64 *bytes)
{
	size_t digits = strspn(text, "0123456789");
	const char *rest = text + digits;
	unsigned long long value;
	int shift;

	/* 18 digits fit into 64 bits */
	if (!digits || digits > 18)
		return invalfc(fc, "%s=%s is not a number, or too large a one", option, text);
	value = simple_strtoull(text, NULL, 10);
	shift = unit_shift(rest);
	if (shift < 0)
		return invalfc(fc, "%s=%s: '%s' is no unit (k, m, g, t)", option, text, rest);
	if (value > MAX_LFS_FILESIZE >> shift || value << shift < PAGE_SIZE)
		return invalfc(fc, "%s=%s is out of range", option, text);
	*bytes = value << shift;
	return 0;
}

/* "64G", "512m", "40%" */
static int parse_size(struct fs_context *fc, struct mount_options *o,
		      const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned int percent;
	u64 bytes;
	int err;

	if (digits && digits <= 18 && !strcmp(text + digits, "%")) {
		percent = min_t(u64, simple_strtoull(text, NULL, 10), 101);
		if (!percent || percent > 100)
			return invalfc(fc, "size=%s: 1%% to 100%% of RAM", text);
		o->percent = percent;
		o->limit_pages = percent_of_ram(percent);
		return 0;
	}
	err = parse_bytes(fc, "size", text, &bytes);
	if (err)
		return err;
	o->percent = 0;
	o->limit_pages = bytes >> PAGE_SHIFT;
	return 0;
}

static int parse_name(struct fs_context *fc, struct mount_options *o,
		      const char *text)
{
	const char *c;

	if (!*text || strlen(text) > BALLAST_POOL_NAME_MAX)
		return invalfc(fc, "name= has 1 to %d characters",
			       BALLAST_POOL_NAME_MAX);
	for (c = text; *c; c++)
		if (!isalnum(*c) && !strchr("_-.:+", *c))
			return invalfc(fc, "name=%s: letters, digits and _-.:+ only", text);
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return invalfc(fc, "name=%s is not a name", text);
	if (!strcmp(text, BALLAST_POOL_HOST))
		return invalfc(fc, "name=host is reserved for VMs that are not on ballastfs");
	strscpy(o->name, text, sizeof(o->name));
	return 0;
}

static int parse_option(struct fs_context *fc, struct fs_parameter *param)
{
	struct mount_options *o = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	if (opt < 0)
		return opt;
	o->given |= BIT(opt);
	switch (opt) {
	case OPT_SIZE:
		return parse_size(fc, o, param->string);
	case OPT_NAME:
		return parse_name(fc, o, param->string);
	case OPT_SHARING:
		o->sharing = result.uint_32;
		return 0;
	case OPT_UID:
		o->uid = make_kuid(current_user_ns(), result.uint_32);
		return uid_valid(o->uid) ? 0 : invalfc(fc, "no such uid");
	case OPT_GID:
		o->gid = make_kgid(current_user_ns(), result.uint_32);
		return gid_valid(o->gid) ? 0 : invalfc(fc, "no such gid");
	case OPT_MODE:
		if (result.uint_32 & ~07777)
			return invalfc(fc, "mode=%o is more than permissions",
				       result.uint_32);
		o->mode = result.uint_32;
		return 0;
	case OPT_COMPRESS:
		o->codec = result.uint_32;
		return 0;
	case OPT_SWAP:
		kfree(o->swap);
		o->swap = param->string;
		param->string = NULL;	/* ours now */
		return 0;
	case OPT_SWAPSIZE:
		return parse_bytes(fc, "swapsize", param->string, &o->swap_bytes);
	}
	return -EINVAL;
}

static int show_options(struct seq_file *m, struct dentry *root)
{
	struct ballast_mount *mount = ballast_mount_of(root->d_sb);
	struct ballast_shown shown;

	spin_lock(&mount->shown_lock);
	shown = mount->shown;
	spin_unlock(&mount->shown_lock);
	if (shown.percent)
		seq_printf(m, ",size=%u%%", shown.percent);
	else
		seq_printf(m, ",size=%luk", shown.limit_pages << (PAGE_SHIFT - 10));
	seq_printf(m, ",sharing=%s,name=%s", sharing_modes[shown.sharing].name,
		   mount->pool->name);
	if (!uid_eq(mount->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u", from_kuid_munged(&init_user_ns, mount->uid));
	if (!gid_eq(mount->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u", from_kgid_munged(&init_user_ns, mount->gid));
	seq_printf(m, ",mode=%o,compress=%s", mount->mode, compressors[mount->codec].name);
	if (mount->swap)
		seq_show_option(m, "swap", mount->swap);
	return 0;
}

static int statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct ballast_pool *pool = ballast_mount_of(dentry->d_sb)->pool;
	unsigned long used = ballast_pool_used_pages(pool);
	unsigned long limit = READ_ONCE(pool->limit_pages);

	buf->f_type = BALLASTFS_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_blocks = limit;
	buf->f_bfree = buf->f_bavail = limit > used ? limit - used : 0;
	buf->f_namelen = NAME_MAX;
	return 0;
}

static void evict(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (S_ISREG(inode->i_mode) && ballast_map_of(inode)) {
		ballast_promise_size(ballast_map_of(inode), i_size_read(inode), 0);
		ballast_map_kill(ballast_map_of(inode));
	}
}

static void free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	free_inode_nonrcu(inode);
}

static const struct super_operations super_operations = {
	.statfs = statfs,
	.drop_inode = generic_delete_inode,
	.evict_inode = evict,
	.free_inode = free_inode,
	.show_options = show_options,
};

/* A default name, of those that this module has not given yet. */
static void next_default_name(char name[BALLAST_POOL_NAME_MAX + 1])
{
	static atomic_t given;

	snprintf(name, BALLAST_POOL_NAME_MAX + 1, "pool-%u",
		 (unsigned int)atomic_inc_return(&given));
}

/* What the pool does beyond giving frames. */
static int add_layers(struct fs_context *fc, struct ballast_pool *pool,
		      const char *swap_path)
{
	struct mount_options *o = fc->fs_private;
	struct ballast_swap *swap = NULL;
	const char *why = "error";
	int err;

	if (swap_path) {
		swap = ballast_swap_open(swap_path, o->swap_bytes, &why);
		if (IS_ERR(swap)) {
			errorfc(fc, "swap=%s: %s", swap_path, why);
			return PTR_ERR(swap);
		}
	}
	err = ballast_store_add_pool(pool, o->codec, swap);
	if (!err)
		err = ballast_sharing_add_pool(pool);
	if (!err)
		err = ballast_reclaim_add_pool(pool);
	return err;
}

static int make_pool(struct super_block *sb, struct fs_context *fc)
{
	struct ballast_mount *mount = kzalloc(sizeof(*mount), GFP_KERNEL);
	struct mount_options *o = fc->fs_private;
	struct ballast_pool *pool;

	if (!mount)
		return -ENOMEM;
	if (!*o->name)
		next_default_name(o->name);
	pool = ballast_pool_create(o->name, o->limit_pages, o->sharing);
	if (IS_ERR(pool)) {
		kfree(mount);
		return PTR_ERR(pool);
	}
	mount->pool = pool;
	mount->uid = o->uid;
	mount->gid = o->gid;
	mount->mode = o->mode;
	mount->codec = o->codec;
	mount->swap_bytes = o->swap_bytes;
	mount->swap = o->swap;
	o->swap = NULL;
	mount->shown = (struct ballast_shown) {
		.limit_pages = o->limit_pages,
		.percent = o->percent,
		.sharing = o->sharing,
	};
	spin_lock_init(&mount->shown_lock);
	sb->s_fs_info = mount;
	return add_layers(fc, pool, mount->swap);
}

/* Users may have taken what looks like a default name: try the next one then. */
static int publish(struct fs_context *fc, struct ballast_pool *pool)
{
	struct mount_options *o = fc->fs_private;
	int err = ballast_pool_publish(pool);

	while (err == -EEXIST && !(o->given & BIT(OPT_NAME))) {
		next_default_name(pool->name);
		err = ballast_pool_publish(pool);
	}
	if (err == -EEXIST)
		errorfc(fc, "a pool named %s exists", pool->name);
	return err;
}

/* On error the caller kills the superblock: kill_super() undoes all of it. */
static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct mount_options *o = fc->fs_private;
	struct ballast_pool *pool;
	struct inode *root;
	int err;

	if (o->swap_bytes && !o->swap)
		return invalfc(fc, "swapsize= without swap=");

	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = BALLASTFS_MAGIC;
	sb->s_op = &super_operations;
	sb->s_time_gran = 1;
	sb->s_flags |= SB_NOATIME;
	err = make_pool(sb, fc);
	if (err)
		return err;
	root = ballast_inode_new(ballast_nop_idmap, sb, NULL, S_IFDIR | o->mode);
	if (IS_ERR(root))
		return PTR_ERR(root);
	root->i_uid = o->uid;
	root->i_gid = o->gid;
	pool = ballast_mount_of(sb)->pool;
	pool->mapping = root->i_mapping;
	pool->zero_frame->mapping = root->i_mapping;
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	return publish(fc, pool);
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, fill_super);
}

/*
 * More is used than is to be: have it taken.  Who needs memory waits meanwhile; the reserve,
 * too, lies within the new size until it is reached.
 */
static int shrink(struct ballast_pool *pool, unsigned long limit_pages)
{
	unsigned long old = pool->limit_pages;
	int err;

	if (!pool->reclaim)
		return -EBUSY;
	ballast_pool_force_limit(pool, limit_pages - min(limit_pages, BALLAST_POOL_RESERVE));
	ballast_reclaim_forget_thresholds(pool);
	err = ballast_reclaim_to_limit(pool, limit_pages);
	ballast_pool_force_limit(pool, err ? old : limit_pages);
	ballast_reclaim_forget_thresholds(pool);
	return err;
}

static int set_size(struct fs_context *fc, struct ballast_pool *pool)
{
	struct mount_options *o = fc->fs_private;
	u64 least;
	int err;

	if (!(o->given & BIT(OPT_SIZE)))
		return 0;
	least = ballast_promise_least_pages(pool);
	if (o->limit_pages < pool->limit_pages && o->limit_pages < least) {
		errorfc(fc, "size=: %lu KiB asked, %llu KiB missing for what was promised to VMs (admission)",
			o->limit_pages << (PAGE_SHIFT - 10),
			(least - o->limit_pages) << (PAGE_SHIFT - 10));
		return -ENOSPC;
	}
	err = ballast_pool_set_limit(pool, o->limit_pages);
	if (!err)
		ballast_reclaim_forget_thresholds(pool);
	else if (err == -EBUSY)
		err = shrink(pool, o->limit_pages);
	if (err == -EINTR)
		errorfc(fc, "size=: interrupted");
	else if (err)
		errorfc(fc, "size=: %lu KiB asked, %lu KiB in use",
			o->limit_pages << (PAGE_SHIFT - 10),
			ballast_pool_used_pages(pool) << (PAGE_SHIFT - 10));
	return err;
}

static int set_sharing(struct fs_context *fc, struct ballast_pool *pool)
{
	struct mount_options *o = fc->fs_private;
	int err;

	if (!(o->given & BIT(OPT_SHARING)))
		return 0;
	err = ballast_sharing_set_mode(pool, o->sharing);
	if (err)
		errorfc(fc, "sharing=: %s", err == -ENOSPC ?
			"no room to give shared pages to each VM" : err == -EIO ?
			"a shared page is broken memory" : "interrupted");
	return err;
}

/* It has all been done: let it be seen. */
static void show_remount(struct ballast_mount *mount,
			 const struct mount_options *o)
{
	spin_lock(&mount->shown_lock);
	if (o->given & BIT(OPT_SIZE)) {
		mount->shown.limit_pages = o->limit_pages;
		mount->shown.percent = o->percent;
	}
	if (o->given & BIT(OPT_SHARING))
		mount->shown.sharing = o->sharing;
	spin_unlock(&mount->shown_lock);
}

/*
 * All or nothing.  The size first: sharing= may be refused for want of memory,
 * which size= may give.  If it gives up half way pages that were broken up to
 * there stay private; they may take the pool over the size that comes back.
 */
static int reconfigure(struct fs_context *fc)
{
	struct ballast_mount *mount = ballast_mount_of(fc->root->d_sb);
	struct mount_options *o = fc->fs_private;
	struct ballast_pool *pool = mount->pool;
	unsigned long old_limit = pool->limit_pages;
	int err;

	if (o->given & BIT(OPT_NAME) && strcmp(o->name, pool->name))
		return invalfc(fc, "name= is fixed at mount (%s)", pool->name);
	if ((o->given & BIT(OPT_UID) && !uid_eq(o->uid, mount->uid)) ||
	    (o->given & BIT(OPT_GID) && !gid_eq(o->gid, mount->gid)) ||
	    (o->given & BIT(OPT_MODE) && o->mode != mount->mode))
		return invalfc(fc, "uid=, gid= and mode= are fixed at mount: use chown and chmod");
	if (o->given & BIT(OPT_COMPRESS) && o->codec != mount->codec)
		return invalfc(fc, "compress= is fixed at mount (%s)",
			       compressors[mount->codec].name);
	/* mount(8) hands over the options that are in use */
	if (o->given & BIT(OPT_SWAP) && (!mount->swap || strcmp(o->swap, mount->swap)))
		return invalfc(fc, "swap= is fixed at mount");
	if (o->given & BIT(OPT_SWAPSIZE) && o->swap_bytes != mount->swap_bytes)
		return invalfc(fc, "swapsize= is fixed at mount");
	err = set_size(fc, pool);
	if (err)
		return err;
	err = set_sharing(fc, pool);
	if (err) {
		ballast_pool_force_limit(pool, old_limit);
		ballast_reclaim_forget_thresholds(pool);
	} else {
		show_remount(mount, o);
	}
	return err;
}

static void free_context(struct fs_context *fc)
{
	struct mount_options *o = fc->fs_private;

	kfree(o->swap);
	kfree(o);
}

static const struct fs_context_operations context_operations = {
	.parse_param = parse_option,
	.get_tree = get_tree,
	.reconfigure = reconfigure,
	.free = free_context,
};

static int init_context(struct fs_context *fc)
{
	struct mount_options *o = kzalloc(sizeof(*o), GFP_KERNEL);

	if (!o)
		return -ENOMEM;
	o->limit_pages = percent_of_ram(50);
	o->percent = 50;
	o->sharing = BALLAST_SHARING_VM;
	o->uid = current_fsuid();
	o->gid = current_fsgid();
	o->mode = 0755;
	o->codec = BALLAST_CODEC_LZ4;
	fc->fs_private = o;
	fc->ops = &context_operations;
	return 0;
}

static void kill_super(struct super_block *sb)
{
	struct ballast_mount *mount = ballast_mount_of(sb);

	/* the scanner leaves each file as it goes */
	kill_litter_super(sb);
	if (!mount)
		return;
	ballast_pool_withdraw(mount->pool);
	ballast_reclaim_remove_pool(mount->pool);
	ballast_sharing_remove_pool(mount->pool);
	ballast_store_remove_pool(mount->pool);
	ballast_pool_put(mount->pool);
	kfree(mount->swap);
	kfree(mount);
}

static struct file_system_type ballastfs = {
	.owner = THIS_MODULE,
	.name = "ballastfs",
	.init_fs_context = init_context,
	.parameters = parameters,
	.kill_sb = kill_super,
};
MODULE_ALIAS_FS("ballastfs");

/* ballast_fs_init() - from here on there may be mounts */
int ballast_fs_init(void)
{
	ballast_map_set_file_operations(&ballast_file_operations);
	return register_filesystem(&ballastfs);
}

/* ballast_fs_exit() - no mount is left: the module's reference count says so */
void ballast_fs_exit(void)
{
	unregister_filesystem(&ballastfs);
	rcu_barrier();	/* inodes being freed call free_inode() */
}
