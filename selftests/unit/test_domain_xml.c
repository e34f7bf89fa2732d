// SPDX-License-Identifier: GPL-2.0
/*
 * Adopting a domain and releasing it is as if nothing had been; metadata.
 * tools: lib/domain_xml.c lib/xml.c lib/settings.c lib/number.c
 * libraries: xml2
 */
#include "unit.h"
#include "tools/lib/domain_xml.h"

#define DOMAIN(inner) "<domain type='kvm'><name>web</name>" inner \
	"<memory unit='KiB'>1048576</memory><devices><memballoon model='virtio'>" \
	"<stats period='10'/></memballoon></devices></domain>"
#define MEMORY(attributes) "<ballast:memory xmlns:ballast='" BALLAST_XMLNS "' " attributes "/>"

static char why[256];

static char *adopt(const char *xml)
{
	char *out;

	if (ballast_xml_adopt(xml, &out, why, sizeof(why)))
		fail_msg("%s", why);
	return out;
}

static void assert_round_trip(const char *xml)
{
	char *before = ballast_xml_normal(xml), *adopted = adopt(xml), *after;

	assert_true(ballast_xml_is_adopted(adopted));
	assert_false(ballast_xml_is_adopted(xml));
	assert_non_null(strstr(adopted, "<source type=\"file\"/>"));
	assert_non_null(strstr(adopted, "<access mode=\"shared\"/>"));
	assert_int_equal(ballast_xml_release(adopted, &after, why, sizeof(why)), 0);
	assert_string_equal(before, after);
	free(before);
	free(adopted);
	free(after);
}

static void round_trips(void **state)
{
	(void)state;
	assert_round_trip(DOMAIN("<memoryBacking><hugepages><page size='2' unit='M'/></hugepages>"
				 "<locked/></memoryBacking>"));
	assert_round_trip(DOMAIN("<metadata>" MEMORY("shares='5'") "</metadata>"
				 "<memoryBacking><source type='memfd'/></memoryBacking>"));
	assert_round_trip(DOMAIN("<metadata><o:x xmlns:o='urn:o'><o:y a='&lt;'>text</o:y></o:x>"
				 "</metadata><memoryBacking><nosharepages/><discard/></memoryBacking>"));
	assert_round_trip(DOMAIN(""));
	assert_round_trip(DOMAIN("<memoryBacking/>"));
}

static void what_cannot_stay_goes(void **state)
{
	char *xml;
	char *backing;

	(void)state;
	xml = adopt(DOMAIN("<memoryBacking><hugepages/><nosharepages/><locked/>"
			   "<source type='anonymous'/><access mode='private'/>"
			   "<allocation mode='immediate'/><discard/></memoryBacking>"));
	/* the record of what it was is behind it */
	backing = strstr(xml, "<memoryBacking>");
	assert_non_null(backing);
	backing = strndup(backing, strstr(backing, "</memoryBacking>") - backing);
	assert_null(strstr(backing, "hugepages"));
	assert_null(strstr(backing, "locked"));
	assert_null(strstr(backing, "allocation"));
	assert_null(strstr(backing, "anonymous"));
	assert_null(strstr(backing, "private"));
	assert_non_null(strstr(backing, "discard"));
	assert_non_null(strstr(backing, "nosharepages"));
	free(backing);
	free(xml);
}

static void refused(const char *xml, int err, const char *words)
{
	char *out;

	assert_int_equal(ballast_xml_adopt(xml, &out, why, sizeof(why)), err);
	assert_null(out);
	assert_non_null(strstr(why, words));
}

static void what_cannot_be_adopted(void **state)
{
	char *once = adopt(DOMAIN("")), *out;

	(void)state;
	refused(once, -EALREADY, "adopted already");
	free(once);
	refused(DOMAIN("<cpu><numa><cell id='0' memAccess='private'/></numa></cpu>"), -ENOTSUP,
		"memAccess");
	refused("<domain><devices><hostdev mode='subsystem'/></devices></domain>", -ENOTSUP,
		"host device");
	refused("<domain><devices><interface type='hostdev'/></devices></domain>", -ENOTSUP,
		"host device");
	refused("<network/>", -EINVAL, "not the XML of a domain");
	refused("<domain>", -EINVAL, "not the XML of a domain");
	refused("", -EINVAL, "not the XML of a domain");
	assert_int_equal(ballast_xml_release(DOMAIN(""), &out, why, sizeof(why)), -EALREADY);
	assert_int_equal(ballast_xml_release("no", &out, why, sizeof(why)), -EINVAL);
}

static void metadata(void **state)
{
	struct ballast_settings s;

	(void)state;
	assert_int_equal(ballast_xml_metadata(DOMAIN("<metadata>"
		MEMORY("shares='2000' min='1G' max='2GiB' tax='5000'") "</metadata>"),
		&s, why, sizeof(why)), 0);
	assert_int_equal(s.given, 0xf);
	assert_int_equal(s.value[BALLAST_SET_SHARES], 2000);
	assert_int_equal(s.value[BALLAST_SET_MIN], 1ULL << 30);
	assert_int_equal(s.value[BALLAST_SET_MAX], 2ULL << 30);
	assert_int_equal(s.value[BALLAST_SET_TAX], 5000);
	/* as virDomainGetMetadata() has it */
	assert_int_equal(ballast_xml_metadata("<memory xmlns='" BALLAST_XMLNS "' shares='7'/>",
					      &s, why, sizeof(why)), 0);
	assert_int_equal(s.given, 1 << BALLAST_SET_SHARES);
	/* <memory> of the domain itself is another */
	assert_int_equal(ballast_xml_metadata(DOMAIN(""), &s, why, sizeof(why)), 0);
	assert_int_equal(s.given, 0);
}

static void bad_metadata(void **state)
{
	struct ballast_settings s;

	(void)state;
	/* what is readable counts; what is not is said */
	assert_int_equal(ballast_xml_metadata(DOMAIN("<metadata>"
		MEMORY("shares='many' tax='3'") "</metadata>"), &s, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "shares: \"many\" is not a number");
	assert_int_equal(s.given, 1 << BALLAST_SET_TAX);
	assert_int_equal(ballast_xml_metadata("<memory tax='10000'/>", &s, why, sizeof(why)),
			 -ERANGE);
	assert_int_equal(ballast_xml_metadata("<", &s, why, sizeof(why)), -EINVAL);
	/* an entity is not expanded: no file of the host gets in */
	assert_int_not_equal(ballast_xml_metadata("<!DOCTYPE d [<!ENTITY e SYSTEM "
		"'file:///etc/hostname'>]><memory shares='&e;'/>", &s, why, sizeof(why)), 0);
}

static void settings_become_an_element_and_again_settings(void **state)
{
	struct ballast_settings s = { 0 }, t;
	char *xml;

	(void)state;
	ballast_settings_assign(&s, "shares=5", why, sizeof(why));
	ballast_settings_assign(&s, "max=3G", why, sizeof(why));
	xml = ballast_xml_memory_element(&s);
	assert_string_equal(xml, "<memory shares='5' max='3221225472'/>");
	assert_int_equal(ballast_xml_metadata(xml, &t, why, sizeof(why)), 0);
	assert_true(ballast_settings_equal(&s, &t));
	free(xml);
	/* a default is what is not written */
	ballast_settings_assign(&s, "shares=default", why, sizeof(why));
	xml = ballast_xml_memory_element(&s);
	assert_string_equal(xml, "<memory max='3221225472'/>");
	free(xml);
}

static void balloon_device(void **state)
{
	(void)state;
	assert_true(ballast_xml_has_balloon(DOMAIN("")));
	assert_int_equal(ballast_xml_stats_period(DOMAIN("")), 10);
	assert_int_equal(ballast_xml_stats_period("<domain/>"), 0);
	assert_false(ballast_xml_has_balloon("<domain><devices><memballoon model='none'/>"
					     "</devices></domain>"));
}

static void assert_difference(const char *before, const char *after, const char *want)
{
	char *difference = ballast_xml_difference(before, after);

	assert_string_equal(difference, want);
	free(difference);
}

static void differences(void **state)
{
	(void)state;
	assert_difference("a\nb\nc\n", "a\nb\nc\n", "");
	assert_difference("", "", "");
	assert_difference("a\nb\nc\n", "a\nx\nc\n", "@@ from line 2 @@\n-b\n+x\n");
	assert_difference("a\n", "a\nb\n", "@@ from line 2 @@\n+b\n");
	assert_difference("a\nb\n", "b\n", "@@ from line 1 @@\n-a\n");
	assert_difference("1\n2\n3\n4\n", "1\nx\n3\ny\n4\n",
			  "@@ from line 2 @@\n-2\n+x\n 3\n+y\n");
	assert_difference("", "a", "@@ from line 1 @@\n+a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(what_cannot_stay_goes),
		cmocka_unit_test(what_cannot_be_adopted),
		cmocka_unit_test(metadata),
		cmocka_unit_test(bad_metadata),
		cmocka_unit_test(settings_become_an_element_and_again_settings),
		cmocka_unit_test(balloon_device),
		cmocka_unit_test(differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
