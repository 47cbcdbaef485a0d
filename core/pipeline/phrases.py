"""Names, places and sentences that CVs of every profession share: the material of `generate`, and nothing else."""

from __future__ import annotations


def _items(block: str) -> tuple[str, ...]:
    """Split a block at its semicolons."""
    return tuple(" ".join(item.split()) for item in block.split(";"))


GIVEN_NAMES = _items("""Aisha; Alejandra; Amélie; Anaïs; André; Anna; Antônio; Ayşe; Beatriz; Benoît; Björn; Bogdan;
    Brónagh; Camille; Carlos; Chloé; Ciarán; Dagmar; Daniela; Dmitri; Edward; Elif; Elżbieta; Emma; Émile; Esteban;
    Fátima; Fiona; François; Gergő; Giulia; Grace; Håkon; Hannah; Hélène; Ingrid; Inés; Ivana; Jakub; Jiří; João;
    Jörg; José; Jürgen; Kateřina; Kenji; Kwame; Léa; Leila; Linh; Łukasz; Mahmoud; Małgorzata; Márta; Mateo; Mei;
    Milan; Mónica; Niamh; Nadia; Noémie; Olga; Oluwaseun; Øyvind; Paweł; Priya; Raúl; Renée; Rhys; Ravi; Sara;
    Šárka; Siobhán; Sofía; Søren; Stéphane; Tamara; Thomas; Tomáš; Úna; Valérie; Viktor; Wanjiru; Xavier; Yara;
    Yusuf; Zoë; Zuzana""")

SURNAMES = _items("""Abdi; Adeyemi; Almeida; Álvarez; Andersson; Ångström; Bauer; Béranger; Björklund; Brânză;
    Brown; Čapek; Castañeda; Chowdhury; Côté; Çelik; da Conceição; Dąbrowski; Díaz; Dvořák; Eriksen; Fernández;
    Fischer; Förster; Fraser; García; Głowacka; Gómez; Grønning; Großmann; Gutiérrez; Haddad; Hájek; Hansen;
    Hernández; Horváth; Ibáñez; Ionescu; Jansen; Jørgensen; Kaur; Kovács; Kowalczyk; Krüger; Kučera; Lefèvre;
    Lindqvist; López; Łukasik; MacLeod; Mäkinen; Martínez; Mbeki; Mendonça; Moreau; Müller; Nakamura; Nguyen; Novák;
    Núñez; O'Brien; Okafor; Öztürk; Peña; Petrović; Pérez; Popescu; Quiñones; Ramírez; Rossi; Sánchez; Schäfer;
    Şahin; Silva; Šimůnek; Sørensen; Święcicka; Szabó; Tanaka; Tóth; Ünal; van Dijk; Vásquez; Wagner; Weiß; Wójcik;
    Yılmaz; Żak; Zhang; Živković""")

CITIES = _items("""Aarhus, Denmark; Antwerp, Belgium; Basel, Switzerland; Bergen, Norway; Bilbao, Spain; Bologna,
    Italy; Bratislava, Slovakia; Brno, Czechia; Cork, Ireland; Debrecen, Hungary; Dresden, Germany; Edinburgh,
    Scotland; Gdańsk, Poland; Genève, Switzerland; Ghent, Belgium; Göteborg, Sweden; Graz, Austria; Groningen,
    Netherlands; İzmir, Türkiye; Kraków, Poland; La Coruña, Spain; Liège, Belgium; Lisbon, Portugal; Łódź, Poland;
    Lübeck, Germany; Lyon, France; Málaga, Spain; Malmö, Sweden; München, Germany; Nîmes, France; Novi Sad, Serbia;
    Odense, Denmark; Oulu, Finland; Plzeň, Czechia; Porto, Portugal; Reykjavík, Iceland; Riga, Latvia; Tallinn,
    Estonia; Tampere, Finland; Timișoara, Romania; Toulouse, France; Trieste, Italy; Tromsø, Norway; Utrecht,
    Netherlands; Vilnius, Lithuania; Wrocław, Poland; Zürich, Switzerland""")

EMPLOYERS = _items("""Nordhaven; Bellrose; Kestrel; Oakmere; Silverline; Vantor; Montclair; Hartwell; Estrela;
    Brunnen; Lindgård; Aldersgate; Polaris; Windmark; Castellan; Rivière; Sonnwend; Tidewater; Caldera; Greystone;
    Morava; Amberfield; Corvina; Isarthal; Halcyon; Meridian; Fjordkraft; Puerta Nueva; Quayside; Rosenhof;
    Trevelyan; Ostrava; Lakeshore; Birchwood; Solano""")

LEVELS = ("Junior", "Assistant", "", "", "Senior", "Senior", "Lead", "Principal")

OPENINGS = _items("""{title} with {years} years of experience in {setting}; Reliable and curious {title}, at home in
    {setting}; Experienced {title} who enjoys hard problems and plain explanations; {title} with a practical mind
    and a background in {field}; {title} looking for a team that takes quality seriously; Career changer who became
    a {title} after years in {setting}""")

SETTINGS = _items("""small companies and large groups; international projects; family businesses; the public sector;
    young teams; regulated industries; organisations that grow fast; places where deadlines matter""")

PROFILE = _items("""Known for calm judgement when things go wrong.; Strong in {tool} and {other}, and happy to learn
    what is missing.; Used to working with people of many trades and languages.; Led teams of up to {n} people and
    still likes the daily work.; Plans carefully, writes clearly and keeps promises.; Has brought {n} large projects
    from a first sketch to daily use.; Looks for long-term work near {home}.; Particular interest in {topic}.;
    Explains {tool} to beginners as gladly as to experts.; Cares about safety, costs and good documentation.; Has
    lived and worked in {n} countries.; Prefers simple solutions that others can maintain.; Brings experience with
    {tool}, {other} and difficult customers.; Volunteers as a mentor and enjoys passing knowledge on.; Comfortable
    with budgets, audits and public speaking.""")

DUTIES = _items("""Part of a team of {n}, with the focus on {tool} and {other}.; Reported to the head of department
    and travelled often.; First point of contact for questions about {tool}.; Started as a stand-in and was kept on
    after {n} months.; Responsible for planning, quality and a budget of {k} euros.; Worked in shifts and in
    changing teams.; Shared the post with a colleague, {n} hours a week each.; Covered everything from the first
    request to the final invoice.; Led {n} people at two sites, the second one in {town}.; Joined to build up a new
    department from nothing.; Worked closely with the offices in {town} and {home}.; Looked after the most demanding
    customers of the house.""")

SHARED_ACTIONS = _items("""Organised weekly meetings and wrote the minutes; Interviewed and trained {n} new
    colleagues; Represented the department at trade fairs in {town} and {home}; Reported progress to the management
    every month; Prepared offers and visited customers between {town} and {home}; Coordinated the work of {n}
    departments; Kept the documentation up to date and readable; Stood in for the head of department for {n} months;
    Improved the daily routine in many small steps, together with those who do the work; Ran a survey among {k}
    customers and presented its findings; Chose and introduced {tool} for the whole site; Managed a budget of {k}
    euros and kept within it; Gave introductory courses in {tool} and {other}; Took over {tool} at short notice when
    a colleague fell ill; Chaired the committee on health and safety at work; Settled disagreements between
    departments before they grew; Hosted visitors and interns from {n} countries; Compared {n} suppliers and
    negotiated better terms; Moved the office to {town} without losing a working day; Cut paperwork by {p} % with
    simple templates""")

DEGREES = ("Vocational training", "BSc", "MSc", "PhD")
"""From the lowest to the highest."""

SCHOOLS = _items("""University of {town}; Technical University of {town}; {town} School of Applied Sciences; {town}
    Academy; {town} College; Open University of {town}""")

STUDY_NOTES = _items("""Thesis: {topic}; Graduated with distinction; Exchange semester in {town}; Focus on {tool}
    and {other}; Student assistant for {n} terms; Scholarship of the city of {town}; Final project: {topic}; Elected
    speaker of the students""")

CERTIFICATES = _items("""First aid at work; Project management, level C; Driving licence, classes B and C; {tool},
    advanced course; Train the trainer; Occupational safety officer; Quality auditor; {other}, certificate with
    examination; Mediation and negotiation; Data protection in practice; Mentoring of young professionals""")

LANGUAGES = _items("""English; German; French; Spanish; Italian; Polish; Portuguese; Dutch; Turkish; Arabic;
    Hungarian; Czech; Swedish; Romanian; Japanese; Mandarin; Hindi; Finnish""")

FLUENCY = ("native", "fluent", "business level", "good", "conversational", "basic", "C1", "B2", "A2")

JOURNALS = _items("""Nordic Review of Practice; Annals of Applied Work; Proceedings of the {town} Workshop; Bulletin
    of the {town} Society; European Notes; Quarterly of Methods; Letters in Theory and Practice""")

PROJECT_NOTES = _items("""Planned and carried out with {n} volunteers over {n} months; Presented at the {town} open
    day; Financed by a grant of {k} euros; All material is freely available; Continued today by a local association;
    Built with {tool} and {other}; Reached {k} readers in its first year; Grew out of a conversation in a train to
    {town}; A second edition is in preparation""")

INTERESTS = _items("""choir singing; long-distance running; chess; beekeeping; mountain hiking; amateur radio; jazz
    piano; pottery; open-water swimming; volunteer fire brigade; photography; gardening; sailing; board games;
    restoring bicycles; folk dance; birdwatching; baking; reading history; football coaching""")

VOLUNTEERING = _items("""Treasurer of a sports club in {town}; Helps refugees with forms and letters; Coaches a
    youth team in {town}; Reads aloud in a home for the elderly; Repairs bicycles in a community workshop; Guides
    visitors through the museum of {town}; Organises an annual charity run with {k} runners; Drives for the food
    bank of {town}""")

REFEREES = _items("""former manager; head of department; project partner; professor; works council; customer""")
