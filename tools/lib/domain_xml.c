// SPDX-License-Identifier: GPL-2.0
/*
 * What Ballast reads from a libvirt domain's XML, and changes in it.
 *
 * DOC: libvirt keeps one element for each namespace in <metadata>.  Settings and
 * the record of an adoption therefore have a namespace each: setting shares must
 * not forget what release has to put back.  Text in, text out, nothing else: the
 * unit tests need no libvirt.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_xml.h"
#include "number.h"
#include "xml.h"

static int take_attribute(xmlNode *node, const char *name,
			  struct ballast_settings *settings, char *why, size_t room)
{
	xmlChar *text = xmlGetNoNsProp(node, BAD_CAST name);
	int err = 0;

	if (text)
		err = ballast_settings_parse(settings, name, (char *)text, why, room);
	xmlFree(text);
	return err;
}

static int take_settings(xmlNode *node, struct ballast_settings *settings, char *why,
			 size_t room)
{
	int i, err, first = 0;
	char ignored[128];

	for (i = 0; i < BALLAST_SETTINGS; i++) {
		err = take_attribute(node, ballast_settings_name(i), settings,
				     first ? ignored : why, first ? sizeof(ignored) : room);
		if (err && !first)
			first = err;
	}
	return first;
}

/**
 * ballast_xml_metadata() - the settings in a domain's metadata
 * @xml: a whole domain, or the element alone, as virDomainGetMetadata() has it
 * @settings: result; those that are readable, if one is not
 * @why: on error, what is wrong, in words
 * @room: of @why
 *
 * Return: 0, also if there are none; -EINVAL or -ERANGE.
 */
int ballast_xml_metadata(const char *xml, struct ballast_settings *settings,
			 char *why, size_t room)
{
	xmlDoc *doc = xml_parse(xml);
	xmlNode *node = doc ? xmlDocGetRootElement(doc) : NULL;
	int err = 0;

	memset(settings, 0, sizeof(*settings));
	if (!node) {
		snprintf(why, room, "not XML");
		err = -EINVAL;
	} else {
		/* libvirt gives the element without its prefix */
		if (xml_is_element(node, "domain", NULL))
			node = xml_child(xml_child(node, "metadata", NULL), "memory",
				     BALLAST_XMLNS);
		if (node && !xmlStrcmp(node->name, BAD_CAST "memory"))
			err = take_settings(node, settings, why, room);
	}
	xmlFreeDoc(doc);
	return err;
}

/**
 * ballast_xml_memory_element() - the element of these settings
 * @settings: to write down
 *
 * Return: text for virDomainSetMetadata(), to be freed; NULL without memory.
 */
char *ballast_xml_memory_element(const struct ballast_settings *settings)
{
	char *text = NULL, value[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int i;

	if (!f)
		return NULL;
	fputs("<memory", f);
	for (i = 0; i < BALLAST_SETTINGS; i++) {
		if (!(settings->given & ~settings->is_default & 1U << i))
			continue;
		ballast_settings_format(settings, i, value, sizeof(value));
		fprintf(f, " %s='%s'", ballast_settings_name(i), value);
	}
	fputs("/>", f);
	fclose(f);
	return text;
}

static char *to_text(xmlDoc *doc)
{
	xmlChar *dump = NULL;
	char *text = NULL;
	int size;

	xmlIndentTreeOutput = 1;
	xmlDocDumpFormatMemory(doc, &dump, &size, 1);
	if (dump)
		text = strdup((char *)dump);
	xmlFree(dump);
	return text;
}

static void drop(xmlNode *node)
{
	if (!node)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* A host device, also one that is there as a network interface. */
static bool is_passed_through(xmlNode *device)
{
	xmlChar *type;
	bool passed;

	if (xml_is_element(device, "hostdev", NULL))
		return true;
	if (!xml_is_element(device, "interface", NULL))
		return false;
	type = xmlGetNoNsProp(device, BAD_CAST "type");
	passed = type && (!xmlStrcmp(type, BAD_CAST "hostdev") ||
			  !xmlStrcmp(type, BAD_CAST "vdpa"));
	xmlFree(type);
	return passed;
}

/* What cannot be with guest memory on ballastfs; NULL if nothing. */
static const char *obstacle(xmlNode *domain)
{
	xmlNode *numa = xml_child(xml_child(domain, "cpu", NULL), "numa", NULL);
	xmlNode *devices = xml_child(domain, "devices", NULL), *node;

	for (node = numa ? numa->children : NULL; node; node = node->next) {
		xmlChar *access = xml_is_element(node, "cell", NULL) ?
			xmlGetNoNsProp(node, BAD_CAST "memAccess") : NULL;
		bool private = access && !xmlStrcmp(access, BAD_CAST "private");

		xmlFree(access);
		if (private)
			return "a NUMA cell has memAccess='private'; ballastfs needs shared";
	}
	for (node = devices ? devices->children : NULL; node; node = node->next)
		if (is_passed_through(node))
			return "a host device is passed through: it pins all of the guest's memory";
	return NULL;
}

/* A namespaced element that holds a copy of what <memoryBacking> was. */
static int keep_original(xmlNode *domain, const xmlNode *backing)
{
	xmlNode *metadata = xml_child(domain, "metadata", NULL), *record, *copy;
	xmlNs *namespace;

	if (!metadata)
		metadata = xmlNewChild(domain, NULL, BAD_CAST "metadata", NULL);
	record = metadata ? xmlNewChild(metadata, NULL, BAD_CAST "original", NULL) : NULL;
	namespace = record ? xmlNewNs(record, BAD_CAST BALLAST_XMLNS_ADOPTED,
				      BAD_CAST "adopted") : NULL;
	if (!namespace)
		return -ENOMEM;
	/* xmlNewChild() inherits the parent's namespace, of which there is none */
	xmlSetNs(record, namespace);
	if (!backing)
		return 0;
	copy = xmlCopyNode((xmlNode *)backing, 1);
	return copy && xmlAddChild(record, copy) ? 0 : -ENOMEM;
}

static int make_shared_file(xmlNode *domain)
{
	/* huge pages, other sources, locking and touching all at the start */
	static const char *const gone[] = { "hugepages", "source", "access", "allocation",
					    "locked" };
	xmlNode *backing = xml_child(domain, "memoryBacking", NULL), *node;
	size_t i;

	if (!backing)
		backing = xmlNewChild(domain, NULL, BAD_CAST "memoryBacking", NULL);
	if (!backing)
		return -ENOMEM;
	for (i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		drop(xml_child(backing, gone[i], NULL));
	node = xmlNewChild(backing, NULL, BAD_CAST "source", NULL);
	if (!node || !xmlNewProp(node, BAD_CAST "type", BAD_CAST "file"))
		return -ENOMEM;
	node = xmlNewChild(backing, NULL, BAD_CAST "access", NULL);
	return node && xmlNewProp(node, BAD_CAST "mode", BAD_CAST "shared") ? 0 : -ENOMEM;
}

static xmlNode *record_of(xmlNode *domain)
{
	return xml_child(xml_child(domain, "metadata", NULL), "original", BALLAST_XMLNS_ADOPTED);
}

static int adopt(xmlNode *domain, char *why, size_t room)
{
	const char *reason = domain ? obstacle(domain) : "not the XML of a domain";
	int err;

	if (reason) {
		snprintf(why, room, "%s", reason);
		return domain ? -ENOTSUP : -EINVAL;
	}
	if (record_of(domain)) {
		snprintf(why, room, "adopted already");
		return -EALREADY;
	}
	err = keep_original(domain, xml_child(domain, "memoryBacking", NULL));
	if (!err)
		err = make_shared_file(domain);
	if (err)
		snprintf(why, room, "out of memory");
	return err;
}

/**
 * ballast_xml_adopt() - have a domain's memory in a shared file
 * @xml: the domain
 * @adopted: result, to be freed
 * @why: on error, what is wrong, in words
 * @room: of @why
 *
 * What <memoryBacking> was is kept in the metadata.
 *
 * Return: 0; -EALREADY; -ENOTSUP if the domain cannot be; -EINVAL; -ENOMEM.
 */
int ballast_xml_adopt(const char *xml, char **adopted, char *why, size_t room)
{
	xmlDoc *doc = xml_parse(xml);
	int err = adopt(xml_domain_of(doc), why, room);

	*adopted = err ? NULL : to_text(doc);
	xmlFreeDoc(doc);
	return !err && !*adopted ? -ENOMEM : err;
}

static int release(xmlNode *domain, char *why, size_t room)
{
	xmlNode *record = domain ? record_of(domain) : NULL, *metadata, *backing, *original;

	if (!record) {
		snprintf(why, room, domain ? "not adopted" : "not the XML of a domain");
		return domain ? -EALREADY : -EINVAL;
	}
	backing = xml_child(domain, "memoryBacking", NULL);
	original = xml_child(record, "memoryBacking", NULL);
	if (original) {
		xmlUnlinkNode(original);
		if (backing)
			xmlFreeNode(xmlReplaceNode(backing, original));
		else
			xmlAddChild(domain, original);
	} else {
		drop(backing);
	}
	metadata = record->parent;
	drop(record);
	if (!metadata->children)
		drop(metadata);
	return 0;
}

/**
 * ballast_xml_release() - undo ballast_xml_adopt()
 * @xml: the domain
 * @released: result, to be freed
 * @why: on error, what is wrong, in words
 * @room: of @why
 *
 * Return: 0; -EALREADY if it is not adopted; -EINVAL; -ENOMEM.
 */
int ballast_xml_release(const char *xml, char **released, char *why, size_t room)
{
	xmlDoc *doc = xml_parse(xml);
	int err = release(xml_domain_of(doc), why, room);

	*released = err ? NULL : to_text(doc);
	xmlFreeDoc(doc);
	return !err && !*released ? -ENOMEM : err;
}

/** ballast_xml_has_balloon() - no <memballoon model='none'/> in the domain @xml? */
bool ballast_xml_has_balloon(const char *xml)
{
	xmlDoc *doc = xml_parse(xml);
	xmlNode *domain = xml_domain_of(doc);
	xmlNode *balloon = xml_child(xml_child(domain, "devices", NULL), "memballoon", NULL);
	xmlChar *model = balloon ? xmlGetNoNsProp(balloon, BAD_CAST "model") : NULL;
	bool has = !model || xmlStrcmp(model, BAD_CAST "none");

	xmlFree(model);
	xmlFreeDoc(doc);
	return has;
}

/** ballast_xml_stats_period() - seconds between a guest's statistics; 0: none */
unsigned int ballast_xml_stats_period(const char *xml)
{
	xmlDoc *doc = xml_parse(xml);
	xmlNode *domain = xml_domain_of(doc), *balloon, *stats;
	xmlChar *period;
	uint64_t seconds = 0;

	balloon = xml_child(xml_child(domain, "devices", NULL), "memballoon", NULL);
	stats = xml_child(balloon, "stats", NULL);
	period = stats ? xmlGetNoNsProp(stats, BAD_CAST "period") : NULL;
	if (period && ballast_parse_u64((char *)period, &seconds))
		seconds = 0;
	xmlFree(period);
	xmlFreeDoc(doc);
	return (unsigned int)seconds;
}

/** ballast_xml_is_adopted() - does the domain @xml carry the record of it? */
bool ballast_xml_is_adopted(const char *xml)
{
	xmlDoc *doc = xml_parse(xml);
	xmlNode *domain = xml_domain_of(doc);
	bool adopted = domain && record_of(domain);

	xmlFreeDoc(doc);
	return adopted;
}

/**
 * ballast_xml_normal() - the same XML, indented as our own output is
 * @xml: any
 *
 * Return: text to be freed, NULL if it is not XML.
 */
char *ballast_xml_normal(const char *xml)
{
	xmlDoc *doc = xml_parse(xml);
	char *text = doc ? to_text(doc) : NULL;

	xmlFreeDoc(doc);
	return text;
}

/* Lines of @text; its newlines become ends. */
static char **split(char *text, unsigned int *count)
{
	unsigned int room = 1;
	char **lines, *c;

	for (c = text; *c; c++)
		room += *c == '\n';
	lines = calloc(room, sizeof(*lines));
	*count = 0;
	while (lines && (c = strsep(&text, "\n")))
		if (text || *c)
			lines[(*count)++] = c;
	return lines;
}

/*
 * What both ends have in common needs no table: domains are long, what is
 * changed in them is short.
 */
static void print_difference(FILE *f, char **a, unsigned int n, char **b, unsigned int m)
{
	unsigned int *common, i, j, start = 0;

	while (n && m && !strcmp(a[0], b[0])) {
		a++, b++, n--, m--, start++;
	}
	while (n && m && !strcmp(a[n - 1], b[m - 1]))
		n--, m--;
	common = calloc((size_t)(n + 1) * (m + 1), sizeof(*common));
	if (!common)
		return;
#define COMMON(i, j) common[(size_t)(i) * (m + 1) + (j)]
	for (i = n; i-- > 0;)
		for (j = m; j-- > 0;)
			COMMON(i, j) = !strcmp(a[i], b[j]) ? COMMON(i + 1, j + 1) + 1 :
				COMMON(i + 1, j) > COMMON(i, j + 1) ? COMMON(i + 1, j) :
								      COMMON(i, j + 1);
	if (n || m)
		fprintf(f, "@@ from line %u @@\n", start + 1);
	for (i = 0, j = 0; i < n || j < m;) {
		if (i < n && j < m && !strcmp(a[i], b[j])) {
			fprintf(f, " %s\n", a[i]);
			i++, j++;
		} else if (j == m || (i < n && COMMON(i + 1, j) >= COMMON(i, j + 1))) {
			fprintf(f, "-%s\n", a[i++]);
		} else {
			fprintf(f, "+%s\n", b[j++]);
		}
	}
#undef COMMON
	free(common);
}

/**
 * ballast_xml_difference() - what changes, line by line
 * @before: text
 * @after: text
 *
 * Return: lines with "-", "+" or " " before them, to be freed; "" if nothing
 * changes; NULL without memory.
 */
char *ballast_xml_difference(const char *before, const char *after)
{
	char *x = strdup(before), *y = strdup(after), *text = NULL, **a, **b;
	unsigned int n = 0, m = 0;
	size_t size;
	FILE *f;

	a = x ? split(x, &n) : NULL;
	b = y ? split(y, &m) : NULL;
	f = a && b ? open_memstream(&text, &size) : NULL;
	if (f) {
		print_difference(f, a, n, b, m);
		fclose(f);
	}
	free(a);
	free(b);
	free(x);
	free(y);
	return text;
}
