"""What people of a dozen professions write in their CVs: the material of `generate`, and nothing else.

A bullet is an action, a setting and a result in a row. `{p}` is a percentage, `{n}` a small number, `{k}` a
large one; `generate` fills them in. All of it is invented: no sentence is about a real person or employer.
"""

from __future__ import annotations

from typing import NamedTuple


class Profession(NamedTuple):
    """Word material of one profession; `kinds` completes an employer's name, `topics` titles papers and projects."""

    title: str
    field: str
    kinds: tuple[str, ...]
    actions: tuple[str, ...]
    settings: tuple[str, ...]
    results: tuple[str, ...]
    tools: tuple[str, ...]
    topics: tuple[str, ...]


def _profession(title: str, field: str, **blocks: str) -> Profession:
    """Build a profession from blocks of phrases that semicolons separate."""
    return Profession(
        title, field, **{name: tuple(" ".join(x.split()) for x in b.split(";")) for name, b in blocks.items()}
    )


PROFESSIONS = (
    _profession(
        "Software Engineer",
        "Computer Science",
        kinds="Software; Systems; Payments; Labs; Cloud Services; Mobility",
        actions="""Rewrote the order service in Go; Split a monolith into {n} services with clear owners; Designed
        the public API and its versioning; Led the move from nightly releases to continuous delivery; Introduced
        property-based tests and contract tests; Built the event pipeline on Kafka and PostgreSQL; Traced a memory
        leak through three layers of native code; Replaced hand-written caches with a shared library; Reviewed the
        architecture of {n} teams every quarter; Mentored {n} junior engineers; Ran the on-call rotation and its
        post-mortems; Wrote the internal guide to threads, processes and locks; Moved the build from a single
        machine to a remote cache; Hardened the login flow against replayed tokens""",
        settings="""for a platform with {k} daily users; in a team of {n} people spread over three countries; for
        the booking system of a railway operator; while the old system stayed in service; for a payment provider
        under strict audit; on a budget that allowed no new hardware; together with the security and the database
        group""",
        results="""cutting response times by {p} %; which brought the error rate down by {p} %; saving {k} euros a
        year in hosting; so that a release now takes {n} minutes; with no unplanned downtime in {n} months; which
        let support close {p} % more tickets; and documented the design for new colleagues; reducing the build time
        by {p} %""",
        tools="""Python; Go; Rust; TypeScript; PostgreSQL; Redis; Kafka; Kubernetes; Docker; Terraform; Git; Linux;
        gRPC; Prometheus; Grafana; GitLab CI""",
        topics="""Deadlocks after fork in programs with native thread pools; Backpressure in event-driven services;
        Schema migration without downtime; Tracing requests across process boundaries; A type checker for build
        files; Measuring tail latency honestly; Cache invalidation in practice""",
    ),
    _profession(
        "Data Scientist",
        "Statistics",
        kinds="Analytics; Research; Insurance; Energy; Retail Group; Health Data",
        actions="""Developed a demand forecast for {n} product groups; Built a search engine over scanned contracts;
        Trained a text classifier on {k} labelled letters; Set up the feature store and its data checks; Designed
        and analysed {n} controlled experiments; Modelled the risk of late payment with boosted trees; Compared
        embedding models for document retrieval; Wrote the pipeline that cleans and joins sensor data; Explained
        model decisions to auditors and the works council; Automated the monthly report; Found and removed a leak
        between training and test data; Taught an internal course on Bayesian methods; Estimated customer lifetime
        value with survival models; Clustered {k} support requests by topic""",
        settings="""for a utility with {k} households; together with domain experts from {n} departments; on a
        cluster shared with other teams; with data from {n} European markets; from first idea to daily use; under
        the data protection rules of a public insurer; for the fraud prevention unit""",
        results="""which lowered the forecast error by {p} %; raising recall from poor to {p} % above the baseline;
        so that analysts save {n} hours a week; and kept the model stable for {n} months; which led to {n} changes
        in pricing; halving the cost of a training run; with results reviewed by peers; replacing a spreadsheet
        nobody trusted""",
        tools="""Python; R; SQL; pandas; scikit-learn; PyTorch; Spark; dbt; Airflow; Stan; pgvector; Jupyter;
        Tableau; MLflow; NumPy; Polars""",
        topics="""Approximate nearest neighbours for long documents; Calibration of probabilistic forecasts; Missing
        data in longitudinal studies; Random projections of sparse text features; Causal effects of price changes;
        Anomaly detection in smart meter readings; Fair evaluation of retrieval systems""",
    ),
    _profession(
        "Registered Nurse",
        "Nursing",
        kinds="University Hospital; General Hospital; Children's Clinic; Care Centre; Hospice; Rehabilitation Clinic",
        actions="""Cared for up to {n} patients a shift; Coordinated admission and discharge; Administered
        medication and monitored vital signs; Trained {n} student nurses at the bedside; Introduced a checklist for
        handovers; Assisted in emergency and trauma care; Managed wound care for patients with diabetes; Led the
        ward's hygiene audit; Advised relatives in palliative situations; Planned the duty roster of {n} colleagues;
        Operated ventilators and infusion pumps; Recorded care plans in the electronic patient file; Took part in a
        study on the prevention of falls; Set up a quiet room for dementia patients""",
        settings="""on a {n}-bed intensive care unit; in the cardiology ward; during night and weekend shifts; in
        close contact with physicians and therapists; for newborns and premature infants; in the emergency
        department of a regional hospital; on a surgical ward with many short stays""",
        results="""which reduced infections by {p} %; cutting handover time by {n} minutes; with excellent patient
        feedback; so that {p} % fewer falls were recorded; in line with national guidelines; which other wards have
        since adopted; lowering medication errors by {p} %; and trained the whole team in it""",
        tools="""Intensive care; Wound management; Triage; Palliative care; Medication safety; Ventilation;
        Infection control; Patient education; Advanced life support; Care planning; Paediatrics; Electronic records;
        First aid; Dialysis""",
        topics="""Early mobilisation after hip surgery; Hand hygiene on busy wards; Pain assessment in dementia;
        Family meetings in palliative care; Night noise and sleep in intensive care; Fall prevention for older
        patients; Handover between shifts""",
    ),
    _profession(
        "Civil Engineer",
        "Civil Engineering",
        kinds="Construction; Bridges; Infrastructure; Consulting Engineers; Rail; Water Works",
        actions="""Designed the steel frame of a {n}-storey building; Supervised the renewal of {n} road bridges;
        Calculated foundations on soft clay; Prepared tenders and compared bids; Planned the drainage of a new
        residential district; Managed subcontractors on site; Inspected tunnels and retaining walls; Modelled flood
        levels with two-dimensional hydraulics; Checked the structural analysis of timber halls; Led the
        geotechnical survey along {n} kilometres of track; Introduced building information modelling; Negotiated
        permits with the authorities; Planned construction phases under running traffic; Documented defects and
        followed up their repair""",
        settings="""for a city of {k} inhabitants; on a budget of {n} million euros; for the national rail operator;
        in an earthquake zone; together with architects and environmental planners; for a port extension; on a site
        with high groundwater""",
        results="""finishing {n} weeks ahead of schedule; which saved {p} % of the concrete; within budget and
        without accidents; reducing closures to {n} nights; so that the bridge carries heavier trains; cutting
        claims by {p} %; and handed the project over free of defects; with {p} % less excavation than planned""",
        tools="""AutoCAD; Revit; SOFiSTiK; Civil 3D; Eurocodes; HEC-RAS; Site supervision; Cost estimation;
        Surveying; Geotechnics; MS Project; Tendering; Concrete design; Timber structures""",
        topics="""Fatigue of welded steel bridges; Reuse of demolition concrete; Settlement of embankments on peat;
        Rainwater retention in dense cities; Monitoring of tunnels with fibre optics; Slender timber floors;
        Life-cycle cost of road surfaces""",
    ),
    _profession(
        "Secondary School Teacher",
        "Education",
        kinds="Grammar School; Secondary School; International School; College; Adult Education Centre; Academy",
        actions="""Taught mathematics and physics to classes of {n}; Prepared final-year students for their
        examinations; Founded a robotics club; Developed teaching material for mixed-ability groups; Organised {n}
        school exchanges; Supervised trainee teachers; Led the working group on digital lessons; Advised parents and
        pupils on careers; Produced the annual school play; Introduced peer tutoring in the lower years; Wrote the
        new science curriculum; Coordinated support for pupils with dyslexia; Ran workshops on media literacy;
        Managed the school library""",
        settings="""at a school with {k} pupils; in bilingual classes; in a district with many newly arrived
        families; across {n} year groups; in cooperation with a local university; during the move to remote lessons;
        with colleagues from {n} subjects""",
        results="""which raised the pass rate by {p} %; and won a regional prize; so that {n} pupils entered
        national contests; with very good inspection reports; doubling the number of volunteers; which became part
        of the timetable; reducing absences by {p} %; and shared the material with other schools""",
        tools="""Classroom management; Curriculum design; Assessment; Moodle; GeoGebra; Inclusive teaching; Project
        work; Public speaking; Conflict mediation; Experiments; Tutoring; Stage direction; Interactive
        whiteboards""",
        topics="""Feedback that pupils act on; Reading strategies in science lessons; Experiments with household
        materials; Learning from worked examples; Homework and motivation; Bilingual physics; Peer tutoring in mixed
        classes""",
    ),
    _profession(
        "Accountant",
        "Business Administration",
        kinds="Audit; Tax Advisers; Holding; Manufacturing; Foods; Trading",
        actions="""Prepared monthly and annual accounts for {n} companies; Led the change to a new ledger system;
        Audited stock and receivables; Reconciled intercompany balances; Filed tax returns in {n} countries; Built
        the cash flow forecast; Introduced electronic invoices; Reduced the time of the monthly close; Negotiated
        credit lines with banks; Trained {n} clerks in the new standards; Set up cost centre reports; Reviewed
        contracts for lease accounting; Supported due diligence in {n} acquisitions; Managed payroll""",
        settings="""under IFRS and local rules; for a family business with {k} employees; in a shared service
        centre; for clients in retail and logistics; with external auditors on site; during a merger; for a listed
        group""",
        results="""closing the books {n} days earlier; which cut overdue invoices by {p} %; with an unqualified
        audit opinion; saving {k} euros in fees; so that errors fell by {p} %; and wrote the manual for it; which
        freed {n} hours a month; recovering {k} euros of input tax""",
        tools="""SAP; DATEV; Excel; Power BI; IFRS; VAT; Consolidation; Cash management; Internal controls; Payroll;
        Budgeting; Transfer pricing; Audit; SQL""",
        topics="""Lease accounting in mid-sized firms; Electronic invoicing across borders; Early signs of
        insolvency; Internal controls in small teams; Valuation of slow-moving stock; Hedging of energy prices;
        Green reporting""",
    ),
    _profession(
        "Marketing Manager",
        "Communication",
        kinds="Media; Brands; Travel; Cosmetics; Publishing; Sports",
        actions="""Launched {n} campaigns on radio, posters and social media; Repositioned a regional brand; Managed
        an annual budget of {k} euros; Led a team of {n} designers and writers; Built the newsletter from scratch;
        Planned trade fairs; Commissioned market research; Rewrote the website with an accessible design; Negotiated
        with agencies and sponsors; Introduced weekly tests of headlines and images; Developed the loyalty
        programme; Edited the customer magazine; Hosted press conferences; Tracked search rankings""",
        settings="""in {n} European markets; for a young target group; for a chain of {n} shops; ahead of the summer
        season; with a small budget; together with sales and product teams; after a merger of two brands""",
        results="""raising sales by {p} %; which brought {k} new subscribers; and won an industry award; so that
        brand recall grew by {p} %; cutting the cost of a lead by {p} %; with coverage in national papers; which
        doubled repeat orders; and kept every deadline""",
        tools="""Copywriting; Brand strategy; Google Analytics; SEO; Figma; Adobe InDesign; HubSpot; Market
        research; Event planning; Media buying; Budget control; Storytelling; Photography; Press relations""",
        topics="""Trust in regional brands; Headlines and reading time; Accessible design for shops; Word of mouth
        in small towns; Customer magazines today; Posters in the age of feeds; Loyalty without discounts""",
    ),
    _profession(
        "Head Chef",
        "Culinary Arts",
        kinds="Restaurant; Grand Hotel; Bistro; Catering; Brasserie; Bakery",
        actions="""Ran a kitchen with {n} cooks; Created seasonal menus with local growers; Calculated dishes and
        controlled purchasing; Trained {n} apprentices; Introduced a vegetarian tasting menu; Catered for banquets
        with up to {n} hundred guests; Reorganised stations and prep lists; Led the hygiene programme; Baked
        sourdough bread and pastries every day; Planned the wine pairing; Opened a second location; Reduced food
        waste; Wrote recipes for a cookbook; Handled allergens and special diets""",
        settings="""in a house with {n} rooms; in a busy city kitchen; during the ski season; for a terrace of {n}
        tables; with fish from the day's market; in an open kitchen in front of guests; under a demanding owner""",
        results="""lowering food cost by {p} %; which earned excellent reviews; so that waste fell by {p} %; with
        full marks in every inspection; raising bookings by {p} %; and kept staff turnover low; which guests still
        ask for; serving {n} courses on time""",
        tools="""French cuisine; Pastry; Menu planning; HACCP; Cost control; Butchery; Fermentation; Wine;
        Banqueting; Team leadership; Purchasing; Sous-vide; Vegetarian cooking; Bread baking""",
        topics="""Cooking with forgotten vegetables; Whole-animal menus; Sourdough at altitude; Less salt, more
        taste; Preserving the summer; Soups of the Baltic coast; A kitchen without waste""",
    ),
    _profession(
        "Research Biologist",
        "Molecular Biology",
        kinds="Institute; Biotech; Marine Station; Botanical Garden; Therapeutics; Diagnostics",
        actions="""Sequenced {n} genomes of alpine plants; Developed an assay for early detection of sepsis;
        Cultured stem cells and organoids; Analysed single-cell data; Wrote {n} grant proposals; Supervised doctoral
        and master students; Managed the microscopy facility; Collected samples on {n} expeditions; Established
        CRISPR screens; Published the protocol and all raw data; Mapped the spread of invasive mussels; Modelled
        protein folding; Reviewed manuscripts for journals; Organised an international summer school""",
        settings="""in a consortium of {n} universities; with partners from industry; on a research vessel; under
        good laboratory practice; in a national park; with public funding for {n} years; for rare diseases""",
        results="""leading to {n} publications; which raised sensitivity by {p} %; and secured follow-up funding; so
        that results arrive {n} days sooner; described in an open data set; cutting reagent costs by {p} %; which is
        now used by {n} groups; and presented it at conferences""",
        tools="""PCR; CRISPR; Flow cytometry; Cell culture; Confocal microscopy; R; Python; Mass spectrometry;
        Bioinformatics; Statistics; Grant writing; Field work; Western blot; Laboratory safety""",
        topics="""Cold tolerance in alpine cress; Gut bacteria of deep-sea worms; Early markers of sepsis in blood;
        Organoids as models of rare disease; Invasive mussels in northern lakes; Repair of double-strand breaks;
        Pollen transport by hoverflies""",
    ),
    _profession(
        "Logistics Manager",
        "Supply Chain Management",
        kinds="Logistics; Freight; Shipping; Warehousing; Forwarding; Automotive Supply",
        actions="""Managed a warehouse with {n} docks; Planned routes for {n} lorries a day; Introduced barcode
        scanning; Negotiated contracts with carriers; Led the move to a new distribution centre; Set up customs
        procedures; Reduced stock levels; Trained shift leaders; Organised cold-chain transport of vaccines; Planned
        peak season staff; Audited suppliers in {n} countries; Started a rail shuttle; Analysed delays and damage;
        Rewrote safety rules""",
        settings="""for an online shop with {k} orders a day; between {n} plants; at a container terminal; for a car
        maker's just-in-time supply; across the Alps; with a team of {n}; around the clock""",
        results="""raising on-time delivery by {p} %; which cut freight costs by {p} %; without a single lost
        shipment; so that picking errors fell by {p} %; saving {k} litres of diesel; and shortened lead times by {n}
        days; with {n} months free of accidents; freeing {p} % of the floor space""",
        tools="""SAP EWM; Route planning; Customs law; Lean; Forecasting; Dangerous goods; Incoterms; Fleet
        management; Excel; Negotiation; Kanban; Inventory control; Safety; Tendering""",
        topics="""Night trains for parcels; Pooling of small loads; Stock levels under uncertain demand; Vaccines in
        hot climates; Cargo bikes in old towns; Customs after a border change; Robots and people in one
        warehouse""",
    ),
    _profession(
        "Translator and Interpreter",
        "Translation Studies",
        kinds="Language Services; Publishers; Subtitling; Court Services; Editorial Office; Localisation",
        actions="""Translated {n} novels and many short stories; Interpreted at court hearings; Localised software
        manuals; Subtitled documentaries; Edited annual reports; Built a terminology database of {k} entries;
        Interpreted for medical consultations; Revised machine translation; Led a pool of {n} freelancers; Taught
        consecutive interpreting; Translated patents; Wrote the house style guide; Accompanied delegations;
        Proofread exhibition catalogues""",
        settings="""from French, Spanish and Portuguese; for a museum of modern art; under tight deadlines; for a
        publisher of crime fiction; for the asylum authority; with engineers and lawyers; in {n} language pairs""",
        results="""with praise from reviewers; which shortened delivery by {n} days; and received a translation
        grant; so that corrections fell by {p} %; used by {n} colleagues every day; without a complaint in {n}
        years; raising reuse of earlier texts by {p} %; and read from it at festivals""",
        tools="""Trados; memoQ; Terminology; Subtitling; Proofreading; Simultaneous interpreting; Legal language;
        Editing; Research; Transcription; Style guides; InDesign; Post-editing""",
        topics="""Dialect in translated crime novels; Humour in subtitles; Metaphors in patents; Interpreting for
        children; Terms without equivalents; Gender in legal texts; The translator's notes""",
    ),
    _profession(
        "Electrician",
        "Electrical Engineering",
        kinds="Electric; Solar; Building Services; Wind Power; Automation; Railway Signals",
        actions="""Installed wiring in {n} apartment houses; Commissioned solar plants; Repaired switchgear under
        pressure of time; Programmed PLC controls; Tested protective devices; Led a crew of {n} fitters; Planned
        charging stations; Serviced lifts and fire alarms; Modernised street lighting; Trained apprentices for their
        final exam; Drew circuit diagrams; Measured insulation and earthing; Maintained wind turbines; Wired control
        cabinets""",
        settings="""in a listed building; for a dairy with {n} production lines; offshore and in all weather; in a
        tunnel at night; for a hospital with emergency power; to current standards; on {n} construction sites""",
        results="""which saved {p} % of electricity; with no accident in {n} years; so that faults fell by {p} %;
        passing every acceptance test; finishing {n} days early; and documented every circuit; cutting downtime by
        {p} %; which the customer extended to {n} more sites""",
        tools="""PLC; KNX; EPLAN; Photovoltaics; High voltage; Fire alarms; Measurement; Battery storage; Work
        safety; Motors and drives; Lightning protection; Cable laying; Charging stations; Modbus""",
        topics="""Selective protection in old buildings; Batteries for farm houses; Fault finding in long cables;
        Earthing on rocky ground; Quiet drives for lifts; Street lights that dim; Solar roofs on barns""",
    ),
)
