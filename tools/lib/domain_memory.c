// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a libvirt domain's memory lies in files of memory_backing_dir.
 *
 * DOC: libvirt gives each NUMA cell, each memory device and, without cells, the
 * memory as a whole a backend of its own, and chooses its kind in this order: memfd,
 * huge pages, a file of memory_backing_dir if the source is a file or it is said
 * whether the memory is shared, else anonymous memory.  An nvdimm or virtio-pmem
 * device has a file elsewhere.  <memory> counts all of them.  Each backend is rounded
 * up when QEMU is started, which the XML does not say yet: to whole MiB, a device to 2 MiB.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "domain_xml.h"
#include "number.h"
#include "xml.h"

#define SMALL_PAGE	4096
#define BACKEND_UNIT	(1024UL * 1024)
#define DEVICE_UNIT	(2 * BACKEND_UNIT)

/**
 * struct backing - what a domain says of all its memory
 * @memfd: source memfd
 * @file: source file
 * @access: whether it is shared is said
 * @hugepages: <hugepages>, or NULL
 * @numa: <numa>, or NULL
 */
struct backing {
	bool memfd;
	bool file;
	bool access;
	xmlNode *hugepages;
	xmlNode *numa;
};

static bool has_value(xmlNode *node, const char *attribute, const char *value)
{
	xmlChar *text = node ? xmlGetNoNsProp(node, BAD_CAST attribute) : NULL;
	bool has = text && (!value || !xmlStrcmp(text, BAD_CAST value));

	xmlFree(text);
	return has;
}

/* What a unit of libvirt stands for; 0 if it is none.  "KB" is 1000 bytes, "K" 1024. */
static uint64_t unit_bytes(const char *unit)
{
	static const char letters[] = "kmgtpe";
	const char *letter;
	uint64_t bytes = 1, base;

	if (!strcasecmp(unit, "b") || !strcasecmp(unit, "byte") || !strcasecmp(unit, "bytes"))
		return 1;
	letter = *unit ? strchr(letters, *unit | 0x20) : NULL;
	if (!letter || (unit[1] && strcasecmp(unit + 1, "b") && strcasecmp(unit + 1, "ib")))
		return 0;
	base = !strcasecmp(unit + 1, "b") ? 1000 : 1024;
	do
		bytes *= base;
	while (letter-- > letters);
	return bytes;
}

/* More than 64 bits is UINT64_MAX: no pool has it. */
static int scale(const char *number, const char *unit, uint64_t *bytes)
{
	uint64_t each = unit_bytes(unit);
	int err;

	number += strspn(number, " \t\n");
	err = ballast_parse_u64(number, bytes);
	if (err == -EINVAL || !each)
		return -EINVAL;
	if (err || (*bytes && each > UINT64_MAX / *bytes))
		*bytes = UINT64_MAX;
	else
		*bytes *= each;
	return 0;
}

/* @attribute of @node, or its text if that is NULL, in its unit: KiB by default. */
static int size_of(xmlNode *node, const char *attribute, uint64_t *bytes)
{
	xmlChar *number = attribute ? xmlGetNoNsProp(node, BAD_CAST attribute) :
				      xmlNodeGetContent(node);
	xmlChar *unit = xmlGetNoNsProp(node, BAD_CAST "unit");
	int err = number ? scale((char *)number, unit ? (char *)unit : "KiB", bytes) : -EINVAL;

	xmlFree(unit);
	xmlFree(number);
	return err;
}

/* "0-3,^2,5"; what cannot be read names nothing. */
static bool names_node(const char *set, unsigned long node)
{
	unsigned long from, to;
	bool named = false, without;
	char *end;

	while (*set) {
		without = *set == '^';
		set += without;
		from = strtoul(set, &end, 10);
		to = *end == '-' ? strtoul(end + 1, &end, 10) : from;
		if (end != set && node >= from && node <= to)
			named = !without;
		end += strcspn(end, ",");
		set = *end ? end + 1 : end;
	}
	return named;
}

/* Does <page> say that this node has huge pages?  The small ones may be named there too. */
static bool page_is_for(xmlNode *page, unsigned long node)
{
	xmlChar *set = xmlGetNoNsProp(page, BAD_CAST "nodeset");
	bool named = !set || names_node((char *)set, node);
	uint64_t bytes;

	xmlFree(set);
	return named && (size_of(page, "size", &bytes) || bytes != SMALL_PAGE);
}

static bool is_huge(const struct backing *backing, unsigned long node)
{
	xmlNode *page;

	if (!backing->hugepages)
		return false;
	if (!xml_child(backing->hugepages, "page", NULL))
		return true;
	for (page = backing->hugepages->children; page; page = page->next)
		if (xml_is_element(page, "page", NULL) && page_is_for(page, node))
			return true;
	return false;
}

static bool is_in_file(const struct backing *backing, unsigned long node, bool access)
{
	return !backing->memfd && !is_huge(backing, node) &&
	       (backing->file || backing->access || access);
}

static void add_backend(uint64_t *in_files, uint64_t bytes, uint64_t unit)
{
	uint64_t units = bytes / unit + !!(bytes % unit);

	*in_files = ballast_add(*in_files, units > UINT64_MAX / unit ? UINT64_MAX :
					   units * unit);
}

static unsigned long number_of(xmlNode *node, const char *attribute, unsigned long otherwise)
{
	xmlChar *text = xmlGetNoNsProp(node, BAD_CAST attribute);
	uint64_t number = otherwise;

	if (text && ballast_parse_u64((char *)text, &number))
		number = otherwise;
	xmlFree(text);
	return number;
}

static xmlNode *cell_of(const struct backing *backing, unsigned long id)
{
	unsigned long at = 0;
	xmlNode *cell;

	for (cell = backing->numa ? backing->numa->children : NULL; cell; cell = cell->next)
		if (xml_is_element(cell, "cell", NULL) && number_of(cell, "id", at++) == id)
			return cell;
	return NULL;
}

static int add_cells(const struct backing *backing, uint64_t *in_files)
{
	unsigned long at = 0;
	xmlNode *cell;
	uint64_t bytes;
	int err;

	for (cell = backing->numa->children; cell; cell = cell->next) {
		if (!xml_is_element(cell, "cell", NULL))
			continue;
		err = size_of(cell, "memory", &bytes);
		if (err)
			return err;
		if (is_in_file(backing, number_of(cell, "id", at++),
			       has_value(cell, "memAccess", NULL)))
			add_backend(in_files, bytes, BACKEND_UNIT);
	}
	return 0;
}

/* The file of an nvdimm is its own, and huge pages may be asked for by the device alone. */
static bool device_is_in_file(const struct backing *backing, xmlNode *device, xmlNode *target)
{
	xmlNode *size = xml_child(xml_child(device, "source", NULL), "pagesize", NULL);
	xmlNode *node = xml_child(target, "node", NULL);
	xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
	bool access = has_value(device, "access", NULL);
	uint64_t id = 0, bytes;

	if (text && ballast_parse_u64((char *)text, &id))
		id = 0;
	xmlFree(text);
	if (!has_value(device, "model", "dimm") && !has_value(device, "model", "virtio-mem"))
		return false;
	if (size && (size_of(size, NULL, &bytes) || bytes != SMALL_PAGE))
		return false;
	return is_in_file(backing, id, access ||
			  has_value(cell_of(backing, id), "memAccess", NULL));
}

static int add_devices(const struct backing *backing, xmlNode *domain, uint64_t *in_files,
		       uint64_t *all)
{
	xmlNode *devices = xml_child(domain, "devices", NULL), *device, *target, *size;
	uint64_t bytes;
	int err;

	*all = 0;
	for (device = devices ? devices->children : NULL; device; device = device->next) {
		if (!xml_is_element(device, "memory", NULL))
			continue;
		target = xml_child(device, "target", NULL);
		size = xml_child(target, "size", NULL);
		err = size ? size_of(size, NULL, &bytes) : -EINVAL;
		if (err)
			return err;
		*all = ballast_add(*all, bytes);
		if (device_is_in_file(backing, device, target))
			add_backend(in_files, bytes, DEVICE_UNIT);
	}
	return 0;
}

static int sum_up(xmlNode *domain, uint64_t *in_files)
{
	xmlNode *memory = xml_child(domain, "memoryBacking", NULL);
	xmlNode *source = xml_child(memory, "source", NULL);
	struct backing backing = {
		.memfd = has_value(source, "type", "memfd"),
		.file = has_value(source, "type", "file"),
		.access = has_value(xml_child(memory, "access", NULL), "mode", NULL),
		.hugepages = xml_child(memory, "hugepages", NULL),
		.numa = xml_child(xml_child(domain, "cpu", NULL), "numa", NULL),
	};
	uint64_t all = 0, devices;
	int err = add_devices(&backing, domain, in_files, &devices);

	if (err)
		return err;
	if (xml_child(backing.numa, "cell", NULL))
		return add_cells(&backing, in_files);
	memory = xml_child(domain, "memory", NULL);
	err = memory ? size_of(memory, NULL, &all) : -EINVAL;
	if (!err && is_in_file(&backing, 0, false))
		add_backend(in_files, ballast_sub(all, devices), BACKEND_UNIT);
	return err;
}

/**
 * ballast_xml_file_memory() - what a domain will have in files of memory_backing_dir
 * @xml: the domain
 * @bytes: result; UINT64_MAX if it is more than that
 *
 * Return: 0; -EINVAL: it is no domain, or a size in it cannot be read.
 */
int ballast_xml_file_memory(const char *xml, uint64_t *bytes)
{
	xmlDoc *doc = xml_parse(xml);
	xmlNode *domain = xml_domain_of(doc);
	int err;

	*bytes = 0;
	err = domain ? sum_up(domain, bytes) : -EINVAL;
	xmlFreeDoc(doc);
	return err;
}
